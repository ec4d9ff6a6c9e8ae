"""Which of several points are worth having: ranks by dominance.

A point dominates another one if it is no larger in any coordinate and smaller in one. Those that no point dominates are
the front, rank 0; rank k is the front of what is left without the ranks below k.

Source:
    Zhang et al., "An Efficient Approach to Nondominated Sorting for Evolutionary Multiobjective Optimization", IEEE
    Transactions on Evolutionary Computation 19(2), 2015: ENS with sequential search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Point: TypeAlias = tuple[float, ...]


def dominates(one: Point, other: Point) -> bool:
    """Tell whether `one` is no larger than `other` in any coordinate, and smaller in one.

    Example:
        >>> dominates((1.0, 2.0), (1.0, 3.0)), dominates((1.0, 2.0), (1.0, 2.0))
        (True, False)
    """
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def ranks(points: Sequence[Point]) -> list[int]:
    """Give the rank of each point, 0 for those of the front.

    Args:
        points: all with the same number of coordinates; smaller is better. Points that are not finite in some
            coordinate come last, in a rank of their own.

    Returns:
        One rank a point; equal points have equal ranks.

    Example:
        >>> ranks([(1.0, 3.0), (2.0, 2.0), (3.0, 3.0), (math.nan, 0.0)])
        [0, 0, 1, 2]
    """
    finite = sorted({point for point in points if all(map(math.isfinite, point))})
    fronts: list[list[Point]] = []
    rank_of: dict[Point, int] = {}
    for point in finite:
        # In this order no point is dominated by a later one.
        rank = next((index for index, front in enumerate(fronts) if not _is_dominated(point, front)), len(fronts))
        if rank == len(fronts):
            fronts.append([])
        fronts[rank].append(point)
        rank_of[point] = rank
    return [rank_of.get(point, len(fronts)) for point in points]


def _is_dominated(point: Point, front: Sequence[Point]) -> bool:
    # The latest are the likeliest.
    return any(dominates(held, point) for held in reversed(front))
