"""Hyperopt's TPE: its own loop runs in a thread, and its objective waits to be told."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from queue import SimpleQueue
from typing import Any

import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, fmin, hp
from hyperopt import tpe as hyperopt_tpe

from benchmarks.searching.players.dimensions import Dimension, dimensions
from choritsu.space import Space

VERSION = f"hyperopt {version('hyperopt')}"


class Loop:
    def __init__(self, space: Space, seed: int, trials: int) -> None:
        self._dimensions = list(dimensions(space))
        self._asked: SimpleQueue[dict[str, Any] | Exception] = SimpleQueue()
        self._told: SimpleQueue[float] = SimpleQueue()
        thread = threading.Thread(target=self._run, args=(seed, trials), daemon=True)
        thread.start()

    def ask(self) -> dict[str, Any]:
        asked = self._asked.get()
        if isinstance(asked, Exception):
            raise asked
        return {item.name: item.value(asked[item.name]) for item in self._dimensions if item.name in asked}

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        self._told.put(loss)

    def _run(self, seed: int, trials: int) -> None:
        def objective(asked: dict[str, Any]) -> dict[str, Any]:
            self._asked.put(_flat(asked))
            loss = self._told.get()
            return {"status": STATUS_FAIL} if math.isnan(loss) else {"status": STATUS_OK, "loss": loss}

        try:
            fmin(
                objective,
                _branch(self._dimensions, None, None),
                algo=hyperopt_tpe.suggest,
                max_evals=trials,
                rstate=np.random.default_rng(seed),
                show_progressbar=False,
            )
        except Exception as error:
            self._asked.put(error)


def _branch(known: Sequence[Dimension], parent: str | None, value: Any) -> dict[str, Any]:
    """Give the expressions of what exists when `parent` has this value; a parent's value opens a branch of its own.

    A child of several values is a parameter of its own in each, since labels may stand once only.
    """
    made = {}
    for item in known:
        if not item.conditions and parent is None:
            made[item.name] = _expression(item, item.name, known)
        elif item.conditions and item.conditions[-1].name == parent and value in item.conditions[-1].values:
            made[item.name] = _expression(item, f"{item.name} of {value}", known)
    return made


def _expression(item: Dimension, label: str, known: Sequence[Dimension]) -> Any:
    match item.kind:
        case "real" if item.log:
            return hp.loguniform(label, math.log(item.low), math.log(item.high))
        case "real":
            return hp.uniform(label, item.low, item.high)
        case "whole" if item.log:
            return hp.qloguniform(label, math.log(item.low), math.log(item.high), 1)
        case "category":
            return hp.choice(
                label, [(index, _branch(known, item.name, value)) for index, value in enumerate(item.values)]
            )
    return hp.uniformint(label, int(item.low), int(item.high))


def _flat(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take branches apart: a category stands beside what its value opens."""
    flat = {}
    for name, told in asked.items():
        if isinstance(told, tuple):
            flat[name] = told[0]
            flat.update(_flat(told[1]))
        else:
            flat[name] = told
    return flat


def tpe(space: Space, seed: int, trials: int) -> Loop:
    return Loop(space, seed, trials)
