"""A space in the words that most peers have: ranges of numbers, places on a list, and categories.

Steps on a log scale, and choices among numbers, which not every peer knows, become places on the list of their values:
whole numbers from 0, so that neighbours are neighbours. Conditions are on categories only, in all problems.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from choritsu.space import Boolean, Choice, Condition, Float, Int, Parameter, Space

#: Real numbers, whole numbers, places on a list, and categories, of which none is next to another.
Kind: TypeAlias = Literal["real", "whole", "place", "category"]


@dataclass(frozen=True)
class Dimension:
    """A parameter as most peers know it.

    Args:
        name: the parameter's.
        kind: what its values are.
        low: the smallest number.
        high: the largest.
        log: whether the scale is logarithmic.
        values: what a place, or a category's index, stands for.
        conditions: under which it exists.
    """

    name: str
    kind: Kind
    low: float
    high: float
    log: bool = False
    values: tuple[Any, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def value(self, told: Any) -> Any:
        """Give the parameter's value for what the peer suggests: a number, or an index."""
        match self.kind:
            case "real":
                return min(max(float(told), self.low), self.high)
            case "whole":
                return int(told)
        return self.values[int(told)]


def dimension(parameter: Parameter) -> Dimension:
    """Translate a parameter."""
    name, conditions = parameter.name, parameter.conditions
    match parameter:
        case Float(step=None):
            log = parameter.sampling == "log"
            return Dimension(name, "real", parameter.min_value, parameter.max_value, log, (), conditions)
        case Int() if parameter.step in (None, 1):
            log = parameter.sampling == "log"
            return Dimension(name, "whole", parameter.min_value, parameter.max_value, log, (), conditions)
    values = parameter.listed()
    unordered = isinstance(parameter, Boolean) or (isinstance(parameter, Choice) and not parameter.ordered)
    return Dimension(
        name, "category" if unordered else "place", 0, len(values) - 1, values=values, conditions=conditions
    )


def dimensions(space: Space) -> Iterator[Dimension]:
    """Translate a space, parents before their children."""
    return map(dimension, space)
