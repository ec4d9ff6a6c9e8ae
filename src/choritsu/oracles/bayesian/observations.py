"""What a history teaches: which combinations were tried, with what success, on a scale that a model can learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choritsu.oracles.precedents import Precedents
from choritsu.space import Space
from choritsu.trials import History, Objective, Status, Trial

Floats: TypeAlias = NDArray[np.float64]

#: Scores worse than the median by more than this many times its distance from the best are all held to be as bad.
OUTLYING = 5.0
#: What failures are taught as where there is nothing else, on the scale of standard deviations.
HOPELESS = 2.0
#: How many paused trials are held to reach what is expected of them.
PAUSED = 50


@dataclass(frozen=True)
class Observation:
    """One score.

    Args:
        values: of the combination that reached it.
        badness: the score as a number to make small; infinite where the trial failed or was refused.
        budget: after how many epochs it was reached; None where the training was whole.
        executions: of how many trainings it is the mean.
    """

    values: Mapping[str, Any]
    badness: float
    budget: int | None = None
    executions: int = 1

    @property
    def is_finite(self) -> bool:
        """Tell whether there is a score at all."""
        return math.isfinite(self.badness)


def observations(history: History) -> list[Observation]:
    """Give what is known of every trial that has ended, or has reached a rung."""
    return [seen for trial in history for seen in _of(trial, history.objective)]


def weighed(history: History, weights: Floats) -> list[Observation]:
    """Give what is known of trials with several objectives, of which each counts by its weight.

    ``max(w * z) + 0.05 * sum(w * z)``, with z the objectives from 0 for the best so far to 1 for the worst that is not
    held to be an outlier.

    Source:
        Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
        optimization problems" (2006), equation 2.
    """
    reached = {number: point for number, point in history.points.items() if all(map(math.isfinite, point))}
    sums: dict[int, float] = {}
    if reached:
        parts = np.array([_places(part) for part in np.array(list(reached.values())).T])
        terms = weights[:, None] * parts
        sums = dict(zip(reached, (terms.max(axis=0) + 0.05 * terms.sum(axis=0)).tolist(), strict=True))
    ended = history.having(Status.COMPLETED, Status.FAILED, Status.REFUSED)
    return [Observation(trial.values, sums.get(trial.number, math.inf)) for trial in ended if trial.values]


def _of(trial: Trial, objective: Objective) -> list[Observation]:
    if trial.rungs:
        seen = [Observation(trial.values, objective.badness(rung.score), rung.until) for rung in trial.rungs]
        if trial.missed is not None:
            seen.append(Observation(trial.values, math.inf, trial.missed))
        return seen
    if trial.status is Status.COMPLETED:
        executions = trial.result.executions if trial.result is not None else 1
        return [Observation(trial.values, objective.badness(trial.score), executions=executions)]
    if trial.status in (Status.FAILED, Status.REFUSED) and trial.values:
        return [Observation(trial.values, math.inf, trial.until)]
    return []


def precedents(earlier: Precedents, space: Space) -> list[Observation]:
    """Give what an earlier search knows of combinations in this space."""
    sign = 1.0 if earlier.direction == "min" else -1.0
    return [Observation(trial.values, sign * trial.score) for trial in earlier.fitting(space)]


def pending(history: History) -> list[Mapping[str, Any]]:
    """Give the values of trials whose last scores are still to come: those that run, and the best that have paused.

    What has paused would otherwise stay as promising as it was, and be tried again a hair beside it.
    """
    running = [trial.values for trial in history.having(Status.RUNNING, Status.INTERRUPTED) if not trial.rungs]
    longest = max((trial.rungs[-1].until for trial in history if trial.rungs), default=0)
    paused = [trial for trial in history.completed if trial.rungs and trial.rungs[-1].until < longest]
    return [*running, *(trial.values for trial in paused[:PAUSED])]


def targets(seen: Sequence[Observation]) -> Floats:
    """Give the badness of each, cut off above and scaled to mean 0 and variance 1; a failure is as bad as the worst.

    A few diverged trainings would otherwise leave no difference to see between all the others.
    """
    if not any(one.is_finite for one in seen):
        return np.full(len(seen), HOPELESS)
    places = _places(np.array([one.badness for one in seen]))
    deviation = places.std()
    return np.asarray((places - places.mean()) / deviation) if deviation > 0 else np.zeros(len(seen))


def repeats(seen: Sequence[Observation]) -> Floats:
    """Give for how many observations each counts: 1 for those of the fewest executions, and for failures."""
    fewest = min((one.executions for one in seen if one.is_finite), default=1)
    return np.array([one.executions / fewest if one.is_finite else 1.0 for one in seen])


def _places(badness: Floats) -> Floats:
    """Give the place of each between the best, 0, and the worst that is not held to be an outlier, 1."""
    # Halves of bounded numbers, because scores may be as far apart as floats can be.
    badness = np.clip(np.where(np.isfinite(badness), badness, np.nan), -1e300, 1e300) / 2
    best, median, worst = np.nanmin(badness), np.nanmedian(badness), np.nanmax(badness)
    if median > best:
        worst = min(worst, median + OUTLYING * (median - best))
    if worst == best:
        return np.zeros(len(badness))
    return np.asarray((np.where(np.isnan(badness), worst, np.minimum(badness, worst)) - best) / (worst - best))
