"""Where trials stand at the budgets that they are given one after the other: what Hyperband and ASHA share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from choritsu.decisions import Decision, Done, Fill
from choritsu.oracles.base import Budgeted, Forecasting, Oracle, is_drawn_by_name
from choritsu.oracles.random import Random
from choritsu.trials import History, Objective, Status, Trial

#: Puts those trials first that are to go on first.
Ranking: TypeAlias = Callable[[Sequence[Trial]], Sequence[Trial]]


class Drawing:
    """What has the values of new trials drawn by another oracle, `oracle`, or by chance."""

    seed: int
    oracle: Oracle | None

    @property
    def draws(self) -> Oracle:
        """Who draws them."""
        return Random(self.seed) if self.oracle is None else self.oracle

    @property
    def fill(self) -> Fill:
        """Where values come from that only the running function asks for: as the drawing oracle has it."""
        return self.draws.fill

    @property
    def by_name(self) -> bool:
        """Whether values do not depend on what is known of the space: as the drawing oracle has it."""
        return is_drawn_by_name(self.draws)

    def drawn(self, history: History, number: int) -> Decision:
        """Give what the drawing oracle says, where a further trial may begin."""
        if history.is_full:
            return Done("no further trial may begin")
        return self.draws.suggest(history, number)


@dataclass(frozen=True)
class Standing:
    """How trials stand at one budget.

    Args:
        ranked: those with a finite score there, best first; the older of two equal ones comes first.
        entered: how many were given the budget.
        running: how many of them are still on their way.
    """

    ranked: Sequence[Trial]
    entered: int
    running: int


def standings_of(objective: Objective, trials: Iterable[Trial], budgets: Iterable[int]) -> dict[int, Standing]:
    """Give how trials stand at each of these budgets."""
    scored: dict[int, list[tuple[float, int, Trial]]] = {epochs: [] for epochs in budgets}
    entered, running = Counter[int](), Counter[int]()
    for trial in trials:
        on_the_way = trial.until
        for rung in trial.rungs:
            on_the_way = None if rung.until == on_the_way else on_the_way
            entered[rung.until] += 1
            badness = objective.badness(rung.score)
            if badness < math.inf and rung.until in scored:
                scored[rung.until].append((badness, trial.number, trial))
        if on_the_way is not None:
            entered[on_the_way] += 1
            running[on_the_way] += is_unsettled(trial)
    return {
        epochs: Standing([trial for _, _, trial in sorted(those)], entered[epochs], running[epochs])
        for epochs, those in scored.items()
    }


def ranking_by(oracle: Oracle, history: History) -> Ranking:
    """Give the order in which trials go on: as they stand, or as the oracle foretells, if it does.

    It is only asked once a trial may go on, and then once.
    """
    if not isinstance(oracle, Forecasting):
        return lambda standing: standing
    foretold = cache(lambda: oracle.forecast(history))

    def ranked(standing: Sequence[Trial]) -> Sequence[Trial]:
        # Of two that promise as much, and where nothing is foretold, the one goes first that stands better.
        return sorted(standing, key=lambda trial: foretold().get(trial.number, math.inf))

    return ranked


def check_budgets(oracle: Any, **least: int) -> None:
    """Check what oracles that give budgets have in common.

    Args:
        oracle: the one that is being made.
        least: the smallest value of each of its integers, by name.

    Raises:
        ValueError: when a number makes no sense.
        TypeError: when `oracle` is none that draws values only.
    """
    for name, smallest in least.items():
        number = getattr(oracle, name)
        if not is_whole(number) or number < smallest:
            raise ValueError(f"{name} must be an integer of at least {smallest}, got {number!r}")
    if not is_whole(oracle.seed):
        raise ValueError(f"seed must be an integer, got {oracle.seed!r}")
    if oracle.horizon not in ("full", "rung"):
        raise ValueError(f'horizon must be "full" or "rung", got {oracle.horizon!r}')
    if oracle.oracle is not None and (isinstance(oracle.oracle, type) or not isinstance(oracle.oracle, Oracle)):
        raise TypeError(f"oracle must be an oracle such as Random(seed=0), or None, got {oracle.oracle!r}")
    if isinstance(oracle.oracle, Budgeted):
        raise TypeError(f"oracle is to draw values only, and {type(oracle.oracle).__name__} gives budgets itself")


def placed(history: History) -> Iterator[Trial]:
    """Yield the trials that take a place: all but those refused before they had reached anything."""
    return (trial for trial in history if trial.rungs or trial.status is not Status.REFUSED)


def first_budget(trial: Trial) -> int | None:
    """Give the epoch at which a trial paused first, or is to."""
    return trial.rungs[0].until if trial.rungs else trial.until


def reached(trial: Trial) -> int:
    """Give the largest budget that a trial was given, used up or not."""
    return max(trial.until or 0, trial.rungs[-1].until if trial.rungs else 0)


def is_unsettled(trial: Trial) -> bool:
    """Tell whether a trial runs, or is to be taken up again."""
    return trial.status in (Status.RUNNING, Status.INTERRUPTED)


def is_whole(number: Any) -> bool:
    """Tell whether a value is an integer; True and False are none."""
    return isinstance(number, int) and not isinstance(number, bool)
