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


@dataclass(frozen=True)
class Observation:
    """One score.

    Args:
        values: of the combination that reached it.
        badness: the score as a number to make small; infinite where the trial failed or was refused.
        budget: after how many epochs it was reached; None where the training was whole.
    """

    values: Mapping[str, Any]
    badness: float
    budget: int | None = None

    @property
    def is_finite(self) -> bool:
        """Tell whether there is a score at all."""
        return math.isfinite(self.badness)


def observations(history: History) -> list[Observation]:
    """Give what is known of every trial that has ended, or has reached a rung."""
    return [seen for trial in history for seen in _of(trial, history.objective)]


def weighed(history: History, weights: Floats) -> list[Observation]:
    """Give what is known of trials with several objectives, of which each counts by its weight.

    ``max(w * z) + 0.05 * sum(w * z)``, with z the objectives from 0 for the best so far to 1 for the worst.

    Source:
        Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
        optimization problems" (2006), equation 2.
    """
    reached = {number: np.array(point) for number, point in history.points.items() if np.isfinite(point).all()}
    points = np.array(list(reached.values())).reshape(len(reached), len(weights))
    low, high = (points.min(axis=0), points.max(axis=0)) if reached else (np.zeros_like(weights), np.ones_like(weights))
    width = np.where(high > low, high - low, 1.0)

    def badness(trial: Trial) -> float:
        if trial.number not in reached:
            return math.inf
        terms = weights * (reached[trial.number] - low) / width
        return float(terms.max() + 0.05 * terms.sum())

    ended = history.having(Status.COMPLETED, Status.FAILED, Status.REFUSED)
    return [Observation(trial.values, badness(trial)) for trial in ended if trial.values]


def _of(trial: Trial, objective: Objective) -> list[Observation]:
    if trial.rungs:
        return [Observation(trial.values, objective.badness(rung.score), rung.until) for rung in trial.rungs]
    if trial.status is Status.COMPLETED:
        return [Observation(trial.values, objective.badness(trial.score))]
    if trial.status in (Status.FAILED, Status.REFUSED) and trial.values:
        return [Observation(trial.values, math.inf, trial.until)]
    return []


def precedents(earlier: Precedents, space: Space) -> list[Observation]:
    """Give what an earlier search knows of combinations in this space."""
    sign = 1.0 if earlier.direction == "min" else -1.0
    return [Observation(trial.values, sign * trial.score) for trial in earlier.fitting(space)]


def pending(history: History) -> list[Mapping[str, Any]]:
    """Give the values of the trials whose scores are still to come."""
    return [trial.values for trial in history.having(Status.RUNNING, Status.INTERRUPTED) if not trial.rungs]


def targets(seen: Sequence[Observation]) -> Floats:
    """Give the badness of each, cut off above and scaled to mean 0 and variance 1; a failure is as bad as the worst.

    A few diverged trainings would otherwise leave no difference to see between all the others.
    """
    badness = np.array([one.badness if one.is_finite else np.nan for one in seen])
    # Halves of bounded numbers, because scores may be as far apart as floats can be.
    badness = np.clip(badness, -1e300, 1e300) / 2
    best, median, worst = np.nanmin(badness), np.nanmedian(badness), np.nanmax(badness)
    if median > best:
        worst = min(worst, median + OUTLYING * (median - best))
    if worst == best:
        return np.zeros(len(seen))
    places: Floats = (np.where(np.isnan(badness), worst, np.minimum(badness, worst)) - best) / (worst - best)
    centred: Floats = places - places.mean()
    return np.asarray(centred / centred.std())
