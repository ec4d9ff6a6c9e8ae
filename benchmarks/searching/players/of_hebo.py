"""HEBO, which has no conditions: it is given all parameters at all times, and those that do not exist are ignored.

Told of a failure it gets nan, which it leaves out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from benchmarks.searching.players.dimensions import Dimension, dimensions
from choritsu.space import Space

VERSION = f"HEBO {version('HEBO')}"


class Asked:
    def __init__(self, space: Space, seed: int) -> None:
        random.seed(seed)
        np.random.seed(seed)  # HEBO draws from there
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        self._space = space
        self._dimensions = {item.name: item for item in dimensions(space)}
        self._optimizer = HEBO(
            DesignSpace().parse(list(map(_described, self._dimensions.values()))), scramble_seed=seed
        )

    def ask(self) -> dict[str, Any]:
        self._asked = self._optimizer.suggest(n_suggestions=1)
        row = self._asked.iloc[0]
        return self._space.assign(lambda parameter: self._dimensions[parameter.name].value(row[parameter.name]))

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        self._optimizer.observe(self._asked, np.array([[loss]]))


def _described(item: Dimension) -> dict[str, Any]:
    if item.kind == "category":
        return {"name": item.name, "type": "cat", "categories": list(range(len(item.values)))}
    kind = {("real", False): "num", ("real", True): "pow", ("whole", True): "pow_int"}.get((item.kind, item.log), "int")
    return {"name": item.name, "type": kind, "lb": item.low, "ub": item.high}


def hebo(space: Space, seed: int, trials: int) -> Asked:
    return Asked(space, seed)
