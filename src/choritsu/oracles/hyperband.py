"""Hyperband (Li et al., 2018, https://jmlr.org/papers/v18/16-558.html): races of successive halving."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from choritsu.decisions import Decision, Done, Promote, Start, Wait
from choritsu.oracles.base import Forecasting, Horizon, Oracle
from choritsu.oracles.rungs import (
    Drawing,
    Ranking,
    Standing,
    check_budgets,
    first_budget,
    is_unsettled,
    is_whole,
    placed,
    ranking_by,
    reached,
    standings_of,
)
from choritsu.trials import History, Objective, Status, Trial

#: The rungs of a bracket, lowest first: how many trials reach each, and the epoch to which they are trained there.
Bracket: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Hyperband(Drawing):
    """Trains many trials a little, the best of them longer, and the best of those to the end.

    The brackets are Keras Tuner's, the one that begins with the most trials first. Of each rung one in `factor`
    goes on, rounded up, by rank; ties go to the older trial. A trial goes on as soon as no result still to come can
    take its place from it, so that the same trials go on whatever the number of workers and the order in which they
    end. What failed holds its place as the worst. While nothing of a bracket can go on, the next one begins.

    With an `oracle` that foretells what trials will come to, such as `BayesianOptimization`, that takes the place of
    what they have reached: who begins slowly goes on, where others like it became good. What is foretold changes with
    each result, and so does, with several workers, who goes on.

    Args:
        max_epochs: to how many epochs the best are trained.
        factor: one in so many goes on.
        hyperband_iterations: how often all brackets are run; None, or infinity, for without end.
        seed: any integer.
        horizon: whether learning-rate schedules are made for `max_epochs` ("full") or for the epochs given so far
            ("rung").
        oracle: draws the values of new trials; by default `Random` with this seed.

    Raises:
        ValueError: when a number makes no sense.
        TypeError: when `oracle` is none that draws values only.

    Source:
        Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, "Hyperband", JMLR 18 (2018), number 185. As in Keras Tuner,
        numbers are rounded up where the paper rounds them down.

    Example:
        >>> for bracket in Hyperband(max_epochs=9).brackets:
        ...     print(", ".join(f"{trials} to epoch {epochs}" for trials, epochs in bracket))
        9 to epoch 1, 3 to epoch 3, 1 to epoch 9
        5 to epoch 3, 2 to epoch 9
        3 to epoch 9
    """

    max_epochs: int = 100
    factor: int = 3
    hyperband_iterations: float | None = 1
    seed: int = 0
    horizon: Horizon = "full"
    oracle: Oracle | None = None

    def __post_init__(self) -> None:
        check_budgets(self, max_epochs=1, factor=2)
        times = self.hyperband_iterations
        if not (times is None or times == math.inf or (is_whole(times) and times >= 1)):
            raise ValueError(
                f"hyperband_iterations must be an integer of at least 1, or None for without end, got {times!r}"
            )

    @property
    def brackets(self) -> tuple[Bracket, ...]:
        """The brackets in the order in which they are run."""
        depth, tops = 0, 1
        while self.factor ** (depth + 1) <= self.max_epochs:
            depth += 1
        while self.factor ** (tops - 1) < self.max_epochs:
            tops += 1
        return tuple(
            tuple(
                (_up(tops * self.factor**left, bracket + 1), _up(self.max_epochs, self.factor**left))
                for left in range(bracket, -1, -1)
            )
            for bracket in range(depth, -1, -1)
        )

    def suggest(self, history: History, number: int) -> Decision:
        """Begin a trial of the first bracket that is not full, or let the best of one go on."""
        drawn: Decision | None = None
        ranking = ranking_by(self.draws, history)
        for race in self._races(history):
            to_come = race.vacant
            if to_come:
                drawn = drawn or self.drawn(history, number)
                if isinstance(drawn, Start):
                    return Start(drawn.values, race.bracket[0][1])
                if isinstance(drawn, Done) and not _discovering(history):
                    to_come = 0
            promotion = race.promotion(to_come, ranking)
            if promotion is not None:
                return promotion
        if isinstance(drawn, Wait) or history.having(Status.RUNNING, Status.INTERRUPTED):
            return Wait()
        return drawn or Done(
            f"all {len(self.brackets)} brackets of Hyperband are complete (max_epochs={self.max_epochs}, "
            f"factor={self.factor}, hyperband_iterations={self.hyperband_iterations})"
        )

    def promotable(self, history: History) -> frozenset[int]:
        """Give the numbers of the paused trials that may yet go on; the state of all others can be deleted."""
        foretold = isinstance(self.draws, Forecasting)
        return frozenset(number for race in self._races(history) for number in race.promotable(foretold=foretold))

    def _races(self, history: History) -> Iterator[_Race]:
        """Yield each bracket of each iteration that has begun, and of the one after, with its trials."""
        brackets = self.brackets
        # The epochs at which trials first pause tell the brackets apart. Counting the trials of each by itself, those
        # that were refused leave a vacancy that the next trial begun takes.
        begun: dict[int | None, list[Trial]] = {bracket[0][1]: [] for bracket in brackets}
        for trial in placed(history):
            begun.get(first_budget(trial), []).append(trial)
        needed = max(_up(len(begun[bracket[0][1]]), bracket[0][0]) for bracket in brackets)
        limit = math.inf if self.hyperband_iterations is None else self.hyperband_iterations
        for iteration in range(int(min(limit, needed + 1))):
            for bracket in brackets:
                size, budget = bracket[0]
                trials = begun[budget][iteration * size : (iteration + 1) * size]
                yield _Race(bracket, self.factor, history.objective, trials)


@dataclass(frozen=True)
class _Race:
    """A bracket with the trials that have begun in it."""

    bracket: Bracket
    factor: int
    objective: Objective
    trials: Sequence[Trial]

    @property
    def vacant(self) -> int:
        return self.bracket[0][0] - len(self.trials)

    def promotion(self, to_come: int, ranking: Ranking) -> Promote | None:
        """Give the next trial to go on, of the highest rung that has one; `to_come` more will begin."""
        found: Promote | None = None
        standings = self._standings()
        places = len(self.trials) + to_come
        for (_, epochs), (_, more) in pairwise(self.bracket):
            places = _up(places, self.factor)
            here, above = standings[epochs], standings[more].entered
            unknown = to_come + here.running
            if above < places and unknown < places:
                # Whatever those still unknown reach, so many of the best are certain to go on.
                certain = ranking(here.ranked)[: places - unknown]
                found = next((Promote(trial.number, more) for trial in certain if reached(trial) < more), found)
            to_come = max(min(places, len(here.ranked) + unknown) - above, 0)
        return found

    def promotable(self, *, foretold: bool) -> Iterator[int]:
        """Give the trials that may yet go on; where their ranks are foretold, these may still change."""
        standings = self._standings()
        for (_, epochs), (places, more) in pairwise(self.bracket):
            ranked = standings[epochs].ranked
            if not foretold:
                ranked = ranked[:places]
            elif standings[more].entered >= places:
                continue
            for trial in ranked:
                if reached(trial) < more:
                    yield trial.number

    def _standings(self) -> Mapping[int, Standing]:
        return standings_of(self.objective, self.trials, [epochs for _, epochs in self.bracket])


def _discovering(history: History) -> bool:
    """Tell whether a trial is running for the first time: it may yet find parameters, and so new combinations."""
    return any(is_unsettled(trial) and not trial.rungs for trial in history)


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
