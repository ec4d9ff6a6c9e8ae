"""ASHA, successive halving that waits for nobody (Li et al., 2020, https://arxiv.org/abs/1810.05934)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from choritsu.decisions import Decision, Done, Promote, Start, Wait
from choritsu.oracles.base import Horizon, Oracle
from choritsu.oracles.rungs import Drawing, check_budgets, placed, ranking_by, reached, standings_of
from choritsu.trials import History, Status


@dataclass(frozen=True)
class ASHA(Drawing):
    """Lets a trial go on as soon as it is among the best of those that have come as far, else begins a new one.

    No worker ever waits for others. Of the trials that have reached a budget, the best one in `factor`, rounded down,
    go on to the next, ties going to the older trial; what failed on its way there counts as the worst. Once nothing
    new is left to try, or may be begun, and nothing runs, the share is rounded up, so that the best is trained to
    the end.

    With an `oracle` that foretells what trials will come to, such as `BayesianOptimization`, the best are those of
    which it expects most; as that changes with each result, more than one in `factor` go on.

    Args:
        max_epochs: to how many epochs the best are trained.
        min_epochs: to how many epochs trials are trained at first.
        factor: by how much the budget grows; one in so many goes on.
        early_stopping_rate: how many of the smallest budgets are left out.
        seed: any integer.
        horizon: whether learning-rate schedules are made for `max_epochs` ("full") or for the epochs given so far
            ("rung").
        oracle: draws the values of new trials; by default `Random` with this seed.

    Raises:
        ValueError: when a number makes no sense.
        TypeError: when `oracle` is none that draws values only.

    Source:
        Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar, "A System for Massively Parallel Hyperparameter
        Tuning", MLSys 2020, algorithm 2. The largest budget is `max_epochs`, also where the others do not divide it.

    Example:
        >>> ASHA(max_epochs=100).budgets, ASHA(max_epochs=81, early_stopping_rate=2).budgets
        ((1, 3, 9, 27, 100), (9, 27, 81))
    """

    max_epochs: int = 100
    min_epochs: int = 1
    factor: int = 3
    early_stopping_rate: int = 0
    seed: int = 0
    horizon: Horizon = "full"
    oracle: Oracle | None = None

    def __post_init__(self) -> None:
        check_budgets(self, max_epochs=1, min_epochs=1, factor=2, early_stopping_rate=0)
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"min_epochs={self.min_epochs} is more than max_epochs={self.max_epochs}")
        if self.min_epochs * self.factor**self.early_stopping_rate > self.max_epochs:
            raise ValueError(
                f"early_stopping_rate={self.early_stopping_rate} leaves no budget between min_epochs={self.min_epochs} "
                f"and max_epochs={self.max_epochs} with factor={self.factor}"
            )

    @property
    def budgets(self) -> tuple[int, ...]:
        """The epochs at which trials pause, in order."""
        budgets, epochs = [], self.min_epochs * self.factor**self.early_stopping_rate
        while epochs * self.factor <= self.max_epochs:
            budgets.append(epochs)
            epochs *= self.factor
        return (*budgets, self.max_epochs)

    def suggest(self, history: History, number: int) -> Decision:
        """Let a trial of the highest rung that has one go on, else begin a new one."""
        for promotion in self._promotions(history, last=False):
            return promotion
        drawn = self.drawn(history, number)
        if isinstance(drawn, Start):
            return Start(drawn.values, self.budgets[0])
        if isinstance(drawn, Done):
            if history.having(Status.RUNNING, Status.INTERRUPTED):
                return Wait()
            for promotion in self._promotions(history, last=True):
                return promotion
        return drawn

    def promotable(self, history: History) -> frozenset[int]:
        """Give the numbers of the paused trials that may yet go on: with enough new ones, any may be among the best."""
        standings = standings_of(history.objective, placed(history), self.budgets)
        return frozenset(
            trial.number
            for epochs, more in pairwise(self.budgets)
            for trial in standings[epochs].ranked
            if reached(trial) < more
        )

    def _promotions(self, history: History, *, last: bool) -> Iterator[Promote]:
        standings = standings_of(history.objective, placed(history), self.budgets)
        ranking = ranking_by(self.draws, history)
        for epochs, more in reversed(list(pairwise(self.budgets))):
            here = standings[epochs]
            ended = here.entered - here.running
            share = (ended + (self.factor - 1 if last else 0)) // self.factor
            for trial in ranking(here.ranked)[:share] if share else ():
                if reached(trial) < more:
                    yield Promote(trial.number, more)
