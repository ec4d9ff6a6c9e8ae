"""Syne Tune's methods of several fidelities, asked for one trial after the other."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, randint
from syne_tune.optimizer.baselines import ASHABORE, ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision

from benchmarks.searching.players.dimensions import dimensions
from benchmarks.searching.training import Training

VERSION = f"syne-tune {version('syne-tune')}"


def trained(training: Training, method: Any) -> None:
    np.random.seed(training.seed)
    known = list(dimensions(training.table.space))
    space = {
        item.name: choice(list(range(len(item.values)))) if item.kind == "category" else randint(0, int(item.high))
        for item in known
    }
    scheduler = method(
        space, metric="loss", time_attr="epoch", max_t=training.epochs, random_seed=training.seed, do_minimize=True
    )
    number = 0
    while True:
        config = scheduler.suggest().config
        trial = Trial(number, config, creation_time=None)
        number += 1
        scheduler.on_trial_add(trial)
        values = {item.name: item.value(config[item.name]) for item in known}
        _train(training, scheduler, trial, values)


def _train(training: Training, scheduler: Any, trial: Trial, values: dict[str, Any]) -> None:
    for epoch in range(training.epochs):
        loss = training.epoch(values, epoch)
        if math.isnan(loss):
            scheduler.on_trial_error(trial)
            return
        result = {"loss": loss, "epoch": epoch + 1}
        if scheduler.on_trial_result(trial, result) == SchedulerDecision.STOP:
            scheduler.on_trial_remove(trial)
            return


def asha_cqr(training: Training) -> None:
    trained(training, ASHACQR)


def asha_bore(training: Training) -> None:
    trained(training, ASHABORE)


def bohb(training: Training) -> None:
    trained(training, BOHB)
