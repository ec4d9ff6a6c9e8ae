"""Finding the points that a score calls best, over any mix of numbers, choices and conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from choritsu.oracles.bayesian.encoding import Encoding

Floats: TypeAlias = NDArray[np.float64]

#: How many points are drawn from the whole space, and how many near the best ones known.
DRAWN, NEAR = 500, 500
#: How many of the known ones count as best.
PARENTS = 5
#: So many of the best points found are improved, each by so many children in every round.
LEADERS, CHILDREN, ROUNDS = 6, 28, 10
#: How far children lie from their parents at first, on the unit axis, and by how much this shrinks with each round.
REACH, SHRINKING = 0.2, 0.55
#: In every so many rounds each value of a choice is tried as well.
SWEEPING = 3
#: A hair's breadth on the unit axis: so near an end the end itself is meant, and so near a trial nothing new is tried.
HAIR = 0.005
#: With how many points at once trials are compared.
BLOCK = 32


def best_points(
    encoding: Encoding, score: Callable[[Floats], Floats], known: Floats, chance: np.random.Generator
) -> Floats:
    """Look for the points of the highest scores: drawn at random first, then by mutation of the best.

    Args:
        encoding: of the space.
        score: gives the scores of settled points, one a row.
        known: points near which good ones may be expected, the best first; at least one.
        chance: where all randomness comes from.

    Returns:
        All points looked at, each once, by falling score; what was a hair from an end of its axis is there.
    """
    parents = np.resize(known[:PARENTS], (NEAR, known.shape[1]))
    reaches = np.exp(chance.uniform(np.log(0.005), np.log(0.4), NEAR))
    points = np.concatenate(
        [
            encoding.settled(chance.random((DRAWN, known.shape[1]))),
            _children(encoding, parents, reaches, chance),
        ]
    )
    scores = score(points)
    leaders = np.argsort(-scores, kind="stable")[:LEADERS]
    seen_points, seen_scores = [points], [scores]
    points, scores = points[leaders], scores[leaders]
    for number in range(ROUNDS):
        count = len(points)
        families = np.repeat(np.arange(count), CHILDREN)
        reaches = np.full(len(families), REACH * SHRINKING**number)
        found = _children(encoding, points[families], reaches, chance)
        if number % SWEEPING == 0:
            swept = [encoding.neighbours(point) for point in points]
            families = np.concatenate([families, np.repeat(np.arange(count), [len(rows) for rows in swept])])
            found = np.concatenate([found, encoding.settled(np.concatenate(swept))])
        gained = score(found)
        seen_points.append(found)
        seen_scores.append(gained)
        # Each leader is followed by the best of its family, itself included.
        families = np.concatenate([np.arange(count), families])
        points, scores = np.concatenate([points, found]), np.concatenate([scores, gained])
        order = np.lexsort((-scores, families))
        firsts = order[np.searchsorted(families[order], np.arange(count))]
        points, scores = points[firsts], scores[firsts]
    everything, all_scores = np.concatenate(seen_points), np.concatenate(seen_scores)
    ranked = _to_the_ends(encoding, everything[np.argsort(-all_scores, kind="stable")])
    # By their bits, since what is inactive equals nothing.
    places = {point.tobytes(): place for place, point in reversed(list(enumerate(ranked)))}
    return ranked[sorted(places.values())]


def fresh_first(encoding: Encoding, points: Floats, tried: Floats) -> Iterator[Floats]:
    """Yield points in their order, but last those that lie a hair from one that was tried.

    Args:
        encoding: of the space.
        points: settled, one a row.
        tried: likewise.
    """
    # A value of a choice is no nearer to one than to another, and what is inactive in one of both lies far.
    scales = np.where(encoding.split, HAIR / 1e-9, 1.0)
    seen = np.nan_to_num(tried, nan=-2.0) * scales
    stale = []
    # In blocks, since the first of them mostly holds the answer.
    for block in np.split(points, range(BLOCK, len(points), BLOCK)):
        apart = cdist(np.nan_to_num(block, nan=-2.0) * scales, seen, "chebyshev")
        near = (apart < HAIR).any(axis=1)
        stale.append(block[near])
        yield from block[~near]
    yield from np.concatenate(stale)


def _to_the_ends(encoding: Encoding, points: Floats) -> Floats:
    """Put what lies a hair from an end of a continuous axis there: 0.999993 of 1 is hardly what a person would try."""
    ends = np.where(points < HAIR, 0.0, np.where(points > 1.0 - HAIR, 1.0, points))
    return np.where(encoding.steps > 0, points, ends)


def _children(encoding: Encoding, parents: Floats, reaches: Floats, chance: np.random.Generator) -> Floats:
    """Change some of each parent's places: numbers by about `reaches`, choices to any other value."""
    count, width = parents.shape
    # What is inactive in a parent may become active in a child.
    places = np.where(np.isnan(parents), chance.random(parents.shape), parents)
    moved = places + np.maximum(reaches[:, None], encoding.steps) * chance.standard_normal(places.shape)
    mirrored = 1.0 - np.abs(1.0 - np.abs(moved))
    anew = chance.random(places.shape)
    moved = np.where(encoding.split, anew, mirrored)
    share = np.where(encoding.split, 0.2, 1.0) * chance.uniform(1.0 / width, 1.0, (count, 1))
    changed = chance.random(places.shape) < share
    changed[np.arange(count), chance.integers(width, size=count)] = True
    return encoding.settled(np.where(changed, moved, places))
