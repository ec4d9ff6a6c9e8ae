"""A training in part that costs nothing: epochs are looked up in a table, and counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from benchmarks.searching.curves import Table

#: So many full trainings are the budget.
FULL = 50


class Spent(BaseException):
    """The budget is used up. No `Exception`, since a search would take that for the failure of a trial."""


class Training:
    """Gives epochs, and counts them.

    Args:
        table: what is trained.
        seed: of the method, and which repeat of the trainings is seen.
    """

    def __init__(self, table: Table, seed: int) -> None:
        self.table = table
        self.seed = seed
        self.epochs = table.epochs
        self.bests: list[float] = []

    def epoch(self, values: Mapping[str, Any], epoch: int) -> float:
        """Train an epoch, counted from 0, and give its loss; nan where the training has diverged.

        Raises:
            Spent: when there is none left.
        """
        if len(self.bests) >= FULL * self.epochs:
            raise Spent
        loss = float(self.table.curve(values, self.seed)[epoch])
        held = self.bests[-1] if self.bests else math.inf
        self.bests.append(loss if loss < held else held)
        return loss


#: A method trains until `Spent` is raised, or it has nothing left to train.
Method: TypeAlias = Callable[[Training], None]
