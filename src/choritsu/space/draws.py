"""Random values."""

from __future__ import annotations

from typing import Any

from choritsu.chance import unit
from choritsu.space.parameters import Parameter


def drawn(seed: int, number: int, parameter: Parameter, attempt: int = 0) -> Any:
    """Draw a parameter's value for a trial, uniformly on its axis.

    It depends on nothing but the arguments: a parameter that comes to light only while a trial runs gets
    the value it would have had, had it been known from the start.

    Args:
        seed: the search's seed.
        number: the trial's number.
        parameter: what to draw; of its definition, only name and axis matter.
        attempt: which draw, from 0, where earlier ones repeat what was tried.

    Example:
        >>> from choritsu.space import Int
        >>> drawn(0, 3, Int("units", 1, 100)) == drawn(0, 3, Int("units", 1, 100))
        True
    """
    return parameter.from_unit(unit(seed, number, attempt, parameter.name))
