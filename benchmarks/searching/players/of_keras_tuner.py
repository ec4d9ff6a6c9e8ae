"""Keras Tuner's Bayesian oracle, driven without a tuner: its own kinds of parameters, its own scopes."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras_tuner

from benchmarks.searching.training import Training
from choritsu.space import Boolean, Choice, Condition, Float, Int, Parameter, Space

VERSION = f"keras-tuner {keras_tuner.__version__}"


class Asked:
    def __init__(self, space: Space, oracle_of: Any, seed: int, trials: int) -> None:
        self._space = space
        self._directory = tempfile.TemporaryDirectory()
        self._oracle = oracle_of(
            keras_tuner.Objective("loss", "min"),
            max_trials=trials,
            # 0 would be no seed at all.
            seed=seed + 1,
            hyperparameters=registered(space),
            max_consecutive_failed_trials=trials + 1,
        )
        self._oracle._set_project_dir(self._directory.name, "played")
        self._oracle.verbose = 0

    def ask(self) -> dict[str, Any] | None:
        self._trial = self._oracle.create_trial("player")
        if self._trial.status == "STOPPED":
            return None
        told = self._trial.hyperparameters.values
        return self._space.assign(lambda parameter: told[parameter.name])

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        if math.isnan(loss):
            self._trial.status = "INVALID"
        else:
            self._oracle.update_trial(self._trial.trial_id, {"loss": loss})
            self._trial.status = "COMPLETED"
        self._oracle.end_trial(self._trial)


def registered(space: Space) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    conditions: dict[str, tuple[Condition, ...]] = {}
    for parameter in space:
        # A scope must stand within that of its own parent.
        outer = [above for given in parameter.conditions for above in conditions[given.name]]
        conditions[parameter.name] = (*outer, *parameter.conditions)
        with ExitStack() as scopes:
            for condition in conditions[parameter.name]:
                scopes.enter_context(hp.conditional_scope(condition.name, list(condition.values)))
            _register(hp, parameter)
    return hp


def _register(hp: keras_tuner.HyperParameters, parameter: Parameter) -> None:
    match parameter:
        case Float() | Int():
            of_kind = hp.Float if isinstance(parameter, Float) else hp.Int
            of_kind(
                parameter.name,
                parameter.min_value,
                parameter.max_value,
                step=parameter.step,
                sampling=parameter.sampling,
            )
        case Choice():
            hp.Choice(parameter.name, list(parameter.values), ordered=parameter.ordered)
        case Boolean():
            hp.Boolean(parameter.name)


def bayes(space: Space, seed: int, trials: int) -> Asked:
    return Asked(space, keras_tuner.oracles.BayesianOptimizationOracle, seed, trials)


def hyperband(training: Training) -> None:
    """Train what the oracle says, from the epoch at which the earlier trial ended."""
    space = training.table.space
    with tempfile.TemporaryDirectory() as directory:
        oracle = keras_tuner.oracles.HyperbandOracle(
            keras_tuner.Objective("loss", "min"),
            max_epochs=training.epochs,
            hyperband_iterations=100,
            seed=training.seed + 1,
            hyperparameters=registered(space),
            max_consecutive_failed_trials=10_000,
        )
        oracle._set_project_dir(directory, "played")
        oracle.verbose = 0
        while (trial := oracle.create_trial("player")).status == "RUNNING":
            told = trial.hyperparameters.values
            values = {name: told[name] for name in space.names}
            losses = [
                training.epoch(values, epoch) for epoch in range(told["tuner/initial_epoch"], told["tuner/epochs"])
            ]
            for epoch, loss in enumerate(losses):
                oracle.update_trial(trial.trial_id, {"loss": loss}, step=epoch)
            trial.status = "INVALID" if all(map(math.isnan, losses)) else "COMPLETED"
            oracle.end_trial(trial)
