"""What earlier searches have tried, as far as it can teach a new one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from choritsu.space import Float, Int, Parameter, Space, canonical
from choritsu.trials import Direction, History


@dataclass(frozen=True)
class Precedent:
    """A trial of an earlier search.

    Args:
        values: what it was trained with, by the names of parameters; only those that it asked for.
        score: what it reached, by that search's own objective; finite.

    Example:
        >>> Precedent({"rate": 0.1}, 0.93).score
        0.93
    """

    values: Mapping[str, Any]
    score: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise ValueError(f"a trial that can teach something has a finite score, got {self.score!r}; leave it out")

    def __hash__(self) -> int:
        return hash((frozenset(self.values), self.score))


@dataclass(frozen=True)
class Precedents:
    """The completed trials of an earlier search.

    Args:
        name: of that search, for people.
        direction: whether its scores were made small ("min") or large ("max").
        trials: what it tried.

    Example:
        >>> from choritsu.space import Float
        >>> earlier = Precedents("of last week", "max", (Precedent({"rate": 0.1, "width": 64}, 0.93),))
        >>> earlier.fitting(Space((Float("rate", 0, 1),)))
        (Precedent(values={'rate': 0.1}, score=0.93),)
    """

    name: str
    direction: Direction
    trials: tuple[Precedent, ...]

    def __post_init__(self) -> None:
        if self.direction not in ("min", "max"):
            raise ValueError(f'direction must be "min" or "max", got {self.direction!r}')

    @classmethod
    def of(cls, history: History, name: str) -> Precedents:
        """Take them from a search's history; where trials had budgets, those count that have reached the largest."""
        return cls(
            name,
            history.objective.direction,
            tuple(Precedent(dict(trial.values), trial.score) for trial in history.deepest if trial.score is not None),
        )

    def fitting(self, space: Space) -> tuple[Precedent, ...]:
        """Give the trials that can be expressed in another space.

        What a trial does not know of that space is left out of its values, and so is what that space does not know of.
        A trial with a value that the space does not allow is left out as a whole, and so is one that shares nothing.

        Args:
            space: of the new search.

        Returns:
            Trials whose values are values of the space's parameters; each has all conditions of its parameters met.
        """
        return tuple(
            Precedent(values, trial.score)
            for trial in self.trials
            if (values := _expressed(trial.values, space)) is not None and values
        )


def _expressed(values: Mapping[str, Any], space: Space) -> dict[str, Any] | None:
    """Give the part of `values` that belongs to `space`; None when it does not allow one of them."""
    shared: dict[str, Any] = {}
    for parameter in space:
        if not parameter.is_active(shared) or parameter.name in shared or parameter.name not in values:
            continue
        found = _same_value(parameter, values[parameter.name])
        if not found:
            return None
        (shared[parameter.name],) = found
    return shared


def _same_value(parameter: Parameter, value: Any) -> tuple[Any, ...]:
    """Give the parameter's own value that is `value`, or that equals it as a number; nothing where there is none.

    What went through another program's files may come back as 1 for True, or as 64.0 for 64.
    """
    match parameter:
        case Float():
            return (float(value),) if parameter.contains(value) else ()
        case Int():
            whole = int(value) if isinstance(value, float) and value.is_integer() else value
            return (whole,) if parameter.contains(whole) else ()
    listed = parameter.listed()
    if parameter.contains(value):
        return tuple(item for item in listed if canonical(item) == canonical(value))
    alike = tuple(item for item in listed if _is_number(item) and _is_number(value) and item == value)
    return alike if len(alike) == 1 else ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
