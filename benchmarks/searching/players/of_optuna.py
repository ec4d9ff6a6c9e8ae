"""Optuna, asked as its users ask: conditions are plain branches, failed trials are told as failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna

from benchmarks.searching.players.dimensions import dimension
from benchmarks.searching.training import Training
from choritsu.space import Parameter, Space

VERSION = f"optuna {optuna.__version__}"


class Study:
    def __init__(self, space: Space, sampler: optuna.samplers.BaseSampler) -> None:
        optuna.logging.disable_default_handler()
        self._space = space
        self._study = optuna.create_study(sampler=sampler)

    def ask(self) -> dict[str, Any]:
        self._trial = self._study.ask()
        return self._space.assign(lambda parameter: suggested(self._trial, parameter))

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        if math.isnan(loss):
            self._study.tell(self._trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(self._trial, loss)


def suggested(trial: optuna.Trial, parameter: Parameter) -> Any:
    asked = dimension(parameter)
    match asked.kind:
        case "real":
            return trial.suggest_float(asked.name, asked.low, asked.high, log=asked.log)
        case "category":
            return trial.suggest_categorical(asked.name, asked.values)
    return asked.value(trial.suggest_int(asked.name, int(asked.low), int(asked.high), log=asked.log))


def tpe(space: Space, seed: int, trials: int) -> Study:
    return Study(space, optuna.samplers.TPESampler(seed=seed))


def tpe_group(space: Space, seed: int, trials: int) -> Study:
    return Study(space, optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True))


def tpe_univariate(space: Space, seed: int, trials: int) -> Study:
    return Study(space, optuna.samplers.TPESampler(seed=seed, multivariate=False))


def gp(space: Space, seed: int, trials: int) -> Study:
    return Study(space, optuna.samplers.GPSampler(seed=seed))


def auto(space: Space, seed: int, trials: int) -> Study:
    import optunahub

    # The hub fetches it from GitHub; without a connection this player is skipped.
    module = optunahub.load_module("samplers/auto_sampler")
    return Study(space, module.AutoSampler(seed=seed))


def tpe_hyperband(training: Training) -> None:
    """Ask and tell; what is pruned keeps its last report."""
    optuna.logging.disable_default_handler()
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=training.seed),
        pruner=optuna.pruners.HyperbandPruner(1, training.epochs, 3),
    )
    while True:
        trial = study.ask()
        values = training.table.space.assign(lambda parameter, trial=trial: suggested(trial, parameter))
        study.tell(trial, *_trained(training, trial, values))


def _trained(training: Training, trial: optuna.Trial, values: Mapping[str, Any]) -> tuple[Any, ...]:
    losses = []
    for epoch in range(training.epochs):
        losses.append(training.epoch(values, epoch))
        trial.report(losses[-1], epoch + 1)
        if trial.should_prune():
            return None, optuna.trial.TrialState.PRUNED
    finite = [loss for loss in losses if not math.isnan(loss)]
    return (min(finite),) if finite else (None, optuna.trial.TrialState.FAIL)
