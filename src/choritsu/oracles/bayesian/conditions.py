"""Conditions that nobody declared: a plain ``if`` in a function shows in what its trials asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from choritsu.space import Condition, Parameter, Space, canonical

#: A parameter with more values than this is not held to decide over others.
MOST_VALUES = 64


def inferred(space: Space, asked: Sequence[Mapping[str, Any]]) -> Space:
    """Give the space with a condition on each parameter that some trials did not ask for, where one can be told.

    Without it, trials that differ only in what they did not ask for would seem to be different ones.

    Args:
        space: as the function has shown it.
        asked: what trials that ran to their end asked for.

    Returns:
        A space with the same names in the same order. A parameter depends on an earlier one if trials with the same
        value of that all asked for it, or none did; on the one with the fewest values, where there are several.

    Example:
        >>> from choritsu.space import Boolean, Float
        >>> space = Space((Boolean("deep"), Float("decay", 0.0, 1.0)))
        >>> found = inferred(space, [{"deep": True, "decay": 0.5}, {"deep": False}])
        >>> print(found.named("decay")[0].conditions[0])
        deep = True
    """
    known: list[Parameter] = []
    for parameter in space:
        missing = not parameter.conditions and any(parameter.name not in values for values in asked)
        condition = _condition(parameter, known, asked) if missing else None
        known.append(parameter if condition is None else parameter.under((condition,)))
    return Space(tuple(known))


def _condition(
    parameter: Parameter, earlier: Sequence[Parameter], asked: Sequence[Mapping[str, Any]]
) -> Condition | None:
    finite = [other for other in earlier if other.size is not None and 1 < other.size <= MOST_VALUES]
    for other in sorted(finite, key=lambda other: other.size or 0):
        with_it = {_text(other, values) for values in asked if parameter.name in values}
        without = {_text(other, values) for values in asked if parameter.name not in values}
        allowed = tuple(value for value in other.listed() if canonical(value) not in without)
        if allowed and not with_it & {*without, None}:
            return Condition(other.name, allowed)
    return None


def _text(parameter: Parameter, values: Mapping[str, Any]) -> str | None:
    return canonical(values[parameter.name]) if parameter.name in values else None
