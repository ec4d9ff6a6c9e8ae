"""What a search has learned: a guess of the score of any combination, and how promising it is to try it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choritsu.oracles.bayesian.acquisition import log_expected_improvement
from choritsu.oracles.bayesian.encoding import Encoding
from choritsu.oracles.bayesian.gaussian import Belief, Process, fitted
from choritsu.oracles.bayesian.observations import Observation, targets

Floats: TypeAlias = NDArray[np.float64]

#: How many observations the model is made of at most, and how many its scales are fitted to: what a suggestion costs
#: grows with the cubes of both.
MOST, FITTED = 400, 200


#: The lengths that models begin with. One alone is at times caught by a wrong idea of the first few scores; two that
#: believe in rough and in smooth functions, and vote, are seldom caught both.
LENGTHS = (-1.5, -0.2)


@dataclass(frozen=True)
class Surrogate:
    """Some models of the scores.

    Args:
        encoding: of the combinations.
        models: over coordinates of combinations and, where trials have reached rungs, of budgets.
        budgeted: whether there is such a coordinate.
        known: the points where trials were seen, the most promising first.
        best: the lowest score that each model believes one of them to have after a whole training.
    """

    encoding: Encoding
    models: tuple[Process, ...]
    budgeted: bool
    known: Floats
    best: tuple[float, ...]

    @classmethod
    def learned(
        cls, encoding: Encoding, seen: Sequence[Observation], waiting: Sequence[Mapping[str, Any]]
    ) -> Surrogate:
        """Learn from observations, at least one of them finite.

        Args:
            encoding: of the combinations.
            seen: what is known.
            waiting: combinations that are being tried: the models are made surer where they lie, and no better.
        """
        seen = _selected(seen, MOST)
        budgets = _depths(seen)
        budgeted = len(set(budgets)) > 1
        points = encoding.points(one.values for one in seen)
        whole = _coordinates(encoding, points, np.ones(len(seen)) if budgeted else None)
        coordinates = _coordinates(encoding, points, np.array(budgets) if budgeted else None)
        groups = [*encoding.groups, *([slice(coordinates.shape[1] - 1, coordinates.shape[1])] if budgeted else [])]
        taught = targets(seen)
        some = np.linspace(0, len(seen) - 1, min(len(seen), FITTED)).round().astype(int)
        models = []
        for length in LENGTHS:
            scales = fitted(coordinates[some], taught[some], groups, Belief(len(groups), length))
            models.append(Process.conditioned(coordinates, taught, groups, scales))
        means = np.array([model.at(whole)[0] for model in models])
        if waiting:
            depths = np.ones(len(waiting)) if budgeted else None
            busy = _coordinates(encoding, encoding.points(waiting), depths)
            models = [model.surer_at(busy) for model in models]
        order = np.argsort(means.mean(axis=0), kind="stable")
        return cls(encoding, tuple(models), budgeted, points[order], tuple(means.min(axis=1).tolist()))

    def promise(self, points: Floats) -> Floats:
        """Give the logarithm of the improvement that the models expect of settled points, one a row."""
        coordinates = _coordinates(self.encoding, points, np.ones(len(points)) if self.budgeted else None)
        votes = [
            log_expected_improvement(*model.at(coordinates), best)
            for model, best in zip(self.models, self.best, strict=True)
        ]
        return np.asarray(np.logaddexp.reduce(votes))


def _coordinates(encoding: Encoding, points: Floats, depths: Floats | None) -> Floats:
    coordinates = encoding.coordinates(points)
    return coordinates if depths is None else np.column_stack([coordinates, depths])


def _selected(seen: Sequence[Observation], most: int) -> Sequence[Observation]:
    """Give the best half and a fair sample of the others, in their order, where there are too many."""
    if len(seen) <= most:
        return seen
    ranked = sorted(range(len(seen)), key=lambda index: (seen[index].badness, index))
    rest = ranked[most // 2 :]
    kept = ranked[: most // 2] + [rest[(index * len(rest)) // (most - most // 2)] for index in range(most - most // 2)]
    return [seen[index] for index in sorted(kept)]


def _depths(seen: Sequence[Observation]) -> list[float]:
    """Give how far each training had come, from 0 to 1 on the scale of the logarithm of epochs."""
    longest = max((one.budget for one in seen if one.budget is not None), default=1)
    return [1.0 if one.budget is None or longest == 1 else math.log(one.budget) / math.log(longest) for one in seen]
