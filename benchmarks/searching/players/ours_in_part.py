"""This library's oracles that train in part, and random search in full, in virtual time."""

from __future__ import annotations

from benchmarks.searching.players.ours import VERSION as VERSION
from benchmarks.searching.training import FULL, Training
from choritsu.oracles import ASHA, BayesianOptimization, Hyperband, Oracle, Random
from choritsu.testing.virtual import curves, run_search


def trained(oracle: Oracle, training: Training, max_trials: int) -> None:
    """Search in virtual time, one trial after the other."""
    run_search(oracle, training.table.space, curves(training.epoch, epochs=training.epochs), max_trials=max_trials)


def full(training: Training) -> None:
    trained(Random(training.seed), training, FULL)


def bayesian(training: Training) -> None:
    trained(BayesianOptimization(seed=training.seed), training, FULL)


def hyperband(training: Training, oracle: Oracle | None = None) -> None:
    made = Hyperband(max_epochs=training.epochs, hyperband_iterations=None, seed=training.seed, oracle=oracle)
    trained(made, training, FULL * training.epochs)


def hyperband_bayesian(training: Training) -> None:
    hyperband(training, BayesianOptimization(seed=training.seed))


def asha(training: Training, oracle: Oracle | None = None) -> None:
    made = ASHA(max_epochs=training.epochs, seed=training.seed, oracle=oracle)
    trained(made, training, FULL * training.epochs)


def asha_bayesian(training: Training) -> None:
    asha(training, BayesianOptimization(seed=training.seed))
