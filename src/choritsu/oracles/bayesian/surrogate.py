"""What a search has learned: a guess of the score of any combination, and how promising it is to try it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choritsu.oracles.bayesian.acquisition import log_expected_improvement
from choritsu.oracles.bayesian.encoding import Encoding
from choritsu.oracles.bayesian.gaussian import Belief, Process, fitted
from choritsu.oracles.bayesian.observations import Observation, repeats, targets

Floats: TypeAlias = NDArray[np.float64]

#: How many observations the models are made of at most, how many of them from earlier searches, and how many their
#: scales are fitted to: what a suggestion costs grows with the cubes of these.
MOST, EARLIER, FITTED = 400, 150, 200

#: What each model begins with: the logarithm of its lengths for one parameter, and that of its trend's variance. With
#: more parameters lengths grow with the root of their number, as distances in a cube do (Hvarfner, Hellsten, Nardi,
#: "Vanilla Bayesian optimization performs great in high dimensions", 2024). One model alone is at times caught by a
#: wrong idea of the first few scores. Two that vote are seldom both caught: one expects a trend along each parameter
#: and something rough about it, the other something smooth in all of them together. Where trainings are given in parts
#: or come from several searches there is no trend: that of beginnings led on to where whole trainings diverge.
BEGINNINGS = ((-1.8, math.log(2.0)), (-0.6, None))
#: The same for the distance between two searches, and between a training's beginning and its end: they are alike.
CONTEXT_LENGTH = 0.5


@dataclass(frozen=True)
class Surrogate:
    """Some models of the scores.

    Args:
        encoding: of the combinations.
        models: over coordinates of combinations and of their context.
        context: the coordinates of a whole training in this very search.
        known: the points where trials were seen, the most promising first.
        tried: the points that this search has tried, or is trying.
        best: the lowest score that each model believes one of this search's trials to have.
    """

    encoding: Encoding
    models: tuple[Process, ...]
    context: Floats
    known: Floats
    tried: Floats
    best: tuple[float, ...]

    @classmethod
    def learned(
        cls,
        encoding: Encoding,
        seen: Sequence[Observation],
        waiting: Sequence[Mapping[str, Any]] = (),
        earlier: Sequence[Sequence[Observation]] = (),
    ) -> Surrogate:
        """Learn from observations.

        Args:
            encoding: of the combinations.
            seen: what is known of this search; at least one of them finite, unless there is none.
            waiting: combinations that are being tried: they are held to reach what the models expect of them.
            earlier: what is known of other searches, each of which has scores of its own; none is empty.
        """
        searches = [_selected(seen, MOST), *(_selected(other, EARLIER // len(earlier)) for other in earlier)]
        taught = np.concatenate([targets(search) for search in searches if search])
        counts = np.concatenate([repeats(search) for search in searches if search])
        points = encoding.points(one.values for search in searches for one in search)
        contexts = _Contexts.of(searches)
        coordinates = np.hstack([encoding.coordinates(points), contexts.rows])
        groups = [*encoding.groups, *contexts.groups(coordinates.shape[1])]
        growth = 0.5 * math.log(len(encoding.groups) or 1)
        some = np.linspace(0, len(points) - 1, min(len(points), FITTED)).round().astype(int)
        # Also while all have come equally far, as at the beginning of a bracket: what is asked for is good in the end.
        in_part = any(one.budget is not None for search in searches for one in search)
        models = []
        for length, trend in BEGINNINGS:
            lengths = [length + growth] * len(encoding.groups) + [CONTEXT_LENGTH] * len(contexts.widths)
            belief = Belief(lengths, trend=None if contexts.widths or in_part else trend)
            scales = fitted(coordinates[some], taught[some], groups, belief, counts[some])
            models.append(Process.conditioned(coordinates, taught, groups, scales, counts))
        here = _in_context(encoding, points, contexts.whole)
        means = np.array([model.at(here)[0] for model in models])
        own = means[:, : len(searches[0])]
        running = encoding.points(waiting)
        if waiting:
            busy = _in_context(encoding, running, contexts.whole)
            own = np.hstack([own, [model.at(busy)[0] for model in models]])
            models = [model.surer_at(busy) for model in models]
        return cls(
            encoding,
            tuple(models),
            contexts.whole,
            points[np.argsort(means.mean(axis=0), kind="stable")],
            np.concatenate([points[: len(searches[0])], running]),
            # Where nothing was tried yet, anything better than the usual is an improvement.
            tuple(own.min(axis=1).tolist() if own.size else means.mean(axis=1).tolist()),
        )

    def expected(self, points: Floats) -> Floats:
        """Give the mean of what the models expect of whole trainings at settled points, one a row."""
        coordinates = _in_context(self.encoding, points, self.context)
        return np.asarray(np.mean([model.at(coordinates)[0] for model in self.models], axis=0))

    def promise(self, points: Floats) -> Floats:
        """Give the logarithm of the improvement that the models expect of settled points, one a row."""
        coordinates = _in_context(self.encoding, points, self.context)
        votes = [
            log_expected_improvement(*model.at(coordinates), best)
            for model, best in zip(self.models, self.best, strict=True)
        ]
        return np.asarray(np.logaddexp.reduce(votes))


def _in_context(encoding: Encoding, points: Floats, context: Floats) -> Floats:
    return np.hstack([encoding.coordinates(points), np.tile(context, (len(points), 1))])


def _selected(seen: Sequence[Observation], most: int) -> Sequence[Observation]:
    """Give the best half and a fair sample of the others, in their order, where there are too many."""
    if len(seen) <= most:
        return seen
    ranked = sorted(range(len(seen)), key=lambda index: (seen[index].badness, index))
    best, rest = ranked[: most // 2], ranked[most // 2 :]
    sample = [rest[index * len(rest) // (most - len(best))] for index in range(most - len(best))]
    return [seen[index] for index in sorted(best + sample)]


@dataclass(frozen=True)
class _Contexts:
    """Where observations come from, as coordinates.

    Args:
        rows: one row for each observation: how far its training had come, where that differs between trainings, and
            one column for each search, where there are several.
        widths: how many columns belong together.
        whole: the row of a whole training in this very search.
    """

    rows: Floats
    widths: tuple[int, ...]
    whole: Floats

    @classmethod
    def of(cls, searches: Sequence[Sequence[Observation]]) -> _Contexts:
        """Give those of several searches' observations; the first search is this one."""
        depths = _depths(searches)
        count = len(searches)
        budgeted, several = len(set(depths)) > 1, count > 1
        owners = np.repeat(np.arange(count), [len(search) for search in searches])
        # Half a square each: two different searches are at a distance of 1.
        marks = np.sqrt(0.5) * np.eye(count)
        rows = np.hstack([np.array(depths)[:, None][:, :budgeted], marks[owners][:, : count * several]])
        return cls(
            rows,
            (1,) * budgeted + (count,) * several,
            np.concatenate([np.ones(1)[:budgeted], marks[0][: count * several]]),
        )

    def groups(self, end: int) -> list[slice]:
        """Give the groups of columns, of which the last ends at `end`."""
        starts = [end - sum(self.widths[index:]) for index in range(len(self.widths) + 1)]
        return [slice(first, last) for first, last in pairwise(starts)]


def _depths(searches: Sequence[Sequence[Observation]]) -> list[float]:
    """Give how far each training had come, from 0 to 1 on the scale of the logarithm of epochs."""
    seen = [one for search in searches for one in search]
    longest = max((one.budget for one in seen if one.budget is not None), default=1)
    return [1.0 if one.budget is None or longest == 1 else math.log(one.budget) / math.log(longest) for one in seen]
