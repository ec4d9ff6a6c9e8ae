"""SMAC, by its own ask and tell, with its own conditions.

A failure is told as a crash, at the cost of the worst loss so far, since its own default, infinity, breaks its forest;
what crashes before any loss is known is told once one is. Every function is said to be deterministic, noisy or not:
else trials would be spent on repeating what was tried.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, InCondition, UniformFloatHyperparameter
from ConfigSpace.hyperparameters import UniformIntegerHyperparameter
from smac import BlackBoxFacade, HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue

from benchmarks.searching.players.dimensions import Dimension, dimensions
from choritsu.space import Space

VERSION = f"smac {version('smac')}"


class Asked:
    def __init__(self, space: Space, facade: Any, seed: int, trials: int) -> None:
        self._dimensions = list(dimensions(space))
        self._directory = tempfile.TemporaryDirectory()
        scenario = Scenario(
            translated(self._dimensions, seed),
            output_directory=Path(self._directory.name),
            deterministic=True,
            n_trials=trials,
            seed=seed,
        )
        self._worst = -math.inf
        self._crashed: list[TrialInfo] = []
        self._smac = facade(scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False)

    def ask(self) -> dict[str, Any]:
        self._asked = self._smac.ask()
        told = dict(self._asked.config)
        return {item.name: item.value(told[item.name]) for item in self._dimensions if item.name in told}

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        if math.isnan(loss):
            self._crashed.append(self._asked)
        else:
            self._worst = max(self._worst, loss)
            self._smac.tell(self._asked, TrialValue(cost=loss, status=StatusType.SUCCESS), save=False)
        while self._crashed and math.isfinite(self._worst):
            self._smac.tell(self._crashed.pop(), TrialValue(cost=self._worst, status=StatusType.CRASHED), save=False)


def translated(known: list[Dimension], seed: int) -> ConfigurationSpace:
    space = ConfigurationSpace(seed=seed)
    for item in known:
        match item.kind:
            case "real":
                made = UniformFloatHyperparameter(item.name, item.low, item.high, log=item.log)
            case "category":
                made = Categorical(item.name, list(range(len(item.values))))
            case _:
                made = UniformIntegerHyperparameter(item.name, int(item.low), int(item.high), log=item.log)
        space.add(made)
    by_name = {item.name: item for item in known}
    for item in known:
        for condition in item.conditions:
            parent = by_name[condition.name]
            opening = [index for index, value in enumerate(parent.values) if value in condition.values]
            space.add(InCondition(space[item.name], space[parent.name], opening))
    return space


def hpo(space: Space, seed: int, trials: int) -> Asked:
    return Asked(space, HyperparameterOptimizationFacade, seed, trials)


def blackbox(space: Space, seed: int, trials: int) -> Asked:
    return Asked(space, BlackBoxFacade, seed, trials)
