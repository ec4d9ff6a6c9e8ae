"""Real trainings, done once: every combination of a grid, with its validation loss after each epoch.

`python -m benchmarks.searching.tables.make` trains them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.searching.problems import Problem, Values
from choritsu.space import Choice, Space

HERE = Path(__file__).parent / "tables"


@dataclass(frozen=True)
class Table:
    """A grid of trainings.

    Args:
        name: of the problem and of the file.
        about: what was trained.
        levels: the values of each parameter.
        epochs: how many points a curve has.
        repeats: how often each combination was trained, with other seeds.
    """

    name: str
    about: str
    levels: Mapping[str, tuple[Any, ...]]
    epochs: int = 27
    repeats: int = 1

    @property
    def space(self) -> Space:
        return Space(tuple(Choice(name, values) for name, values in self.levels.items()))

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.repeats, *(len(values) for values in self.levels.values()), self.epochs)

    @cached_property
    def losses(self) -> np.ndarray:
        """The losses by repeat, level of each parameter and epoch; nan where a training diverged."""
        with np.load(HERE / f"{self.name}.npz") as file:
            codes, low, high = file["codes"], float(file["low"]), float(file["high"])
        losses = np.exp(low + (high - low) * codes.astype(float) / (DIVERGED - 1))
        return np.where(codes == DIVERGED, np.nan, losses).reshape(self.shape)

    def keep(self, losses: np.ndarray) -> None:
        """Write the losses, as whole numbers on a log scale."""
        logs = np.log(np.where(losses < losses.flat[np.nanargmin(losses)] * 1e3, losses, np.nan))
        low, high = np.nanmin(logs), np.nanmax(logs)
        codes = np.where(np.isnan(logs), DIVERGED, np.round((logs - low) / (high - low) * (DIVERGED - 1)))
        np.savez_compressed(HERE / f"{self.name}.npz", codes=codes.astype(np.uint16), low=low, high=high)

    def curve(self, values: Values, seed: int | None = None) -> np.ndarray:
        """Give the loss after each epoch, of one training or averaged over all of them."""
        place = tuple(levels.index(values[name]) for name, levels in self.levels.items())
        curves = self.losses[(slice(None), *place)]
        return curves.mean(0) if seed is None else curves[seed % self.repeats]

    @property
    def problem(self) -> Problem:
        """The search for the best training in full."""
        observe = partial(_last, self) if self.repeats > 1 else None
        return Problem(self.name, self.about, self.space, partial(_last, self), observe)


#: What stands for a loss that is not finite, or a thousand times the best.
DIVERGED = 60_000


def _last(table: Table, values: Values, seed: int | None = None) -> float:
    return float(table.curve(values, seed)[-1])


TABLES = {
    table.name: table
    for table in (
        Table(
            "digits-network",
            "a perceptron by SGD on images of digits; cross-entropy",
            {
                "rate": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
                "momentum": (0.0, 0.9),
                "batch": (16, 64, 256),
                "width": (12, 32, 96),
                "depth": (1, 2),
                "activation": ("relu", "tanh"),
                "decay": (1e-4, 1e-2),
                "dropout": (0.0, 0.3),
                "schedule": ("constant", "cosine"),
            },
        ),
        Table(
            "noisy-network",
            "a perceptron by Adam on 600 rows of which many bear wrong labels; error rate; two seeds",
            {
                "rate": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
                "batch": (8, 32, 128),
                "width": (8, 32, 96),
                "depth": (1, 2),
                "dropout": (0.0, 0.25, 0.5),
                "decay": (0.0, 1e-2, 1e-1),
                "schedule": ("constant", "cosine"),
            },
            repeats=2,
        ),
        Table(
            "friedman-boosting",
            "gradient boosting on Friedman's first regression; mean squared error; an epoch is five trees",
            {
                "rate": (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8),
                "depth": (1, 2, 3, 4, 6),
                "sample": (0.3, 0.6, 1.0),
                "features": (0.2, 0.4, 0.7, 1.0),
                "leaf": (1, 4, 10, 30),
            },
        ),
        Table(
            "diabetes-forest",
            "a forest of randomised trees on the progression of diabetes; mean squared error; two seeds",
            {
                "trees": (5, 10, 20, 40, 80),
                "features": (0.1, 0.2, 0.4, 0.7, 1.0),
                "depth": (2, 4, 6, 9, 14),
                "leaf": (1, 3, 6, 12, 25),
                "bootstrap": (True, False),
                "kind": ("forest", "extra"),
            },
            epochs=1,
            repeats=2,
        ),
    )
}


def problems() -> list[Problem]:
    return [table.problem for table in TABLES.values()]
