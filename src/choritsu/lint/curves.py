"""A schedule's function, looked at epoch by epoch: what it may return, in units and in numbers."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from choritsu.lint import quantities as q
from choritsu.lint.names import parameters
from choritsu.lint.quantities import Quantity
from choritsu.lint.things import Function, Instance, Items, Nothing, Value
from choritsu.lint.values import Evaluator

#: Early epochs one by one, then ever more seldom: schedules are steep at their beginning.
EPOCHS = (0, 1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 60, 80, 90, 100, 120, 150, 200, 300, 500, 1000, 5000, 50_000)
#: At these all ways through the function are taken.
FORKED = (0, 1, 7, 400)
#: More functions in one list are hardly written by hand.
MANY = 20


@dataclass(frozen=True)
class Curve:
    """What a function returns.

    Args:
        ways: everything it may return at a few epochs, wherever conditions cannot be decided.
        numbers: its value at an epoch, deciding conditions by likely numbers; None where unknown.
        certain: every number is computed from written ones alone.
    """

    ways: tuple[Quantity, ...]
    numbers: tuple[tuple[int, float | None], ...]
    certain: bool

    @property
    def unit(self) -> int | None:
        """0 for a factor, 1 for a rate, None if that cannot be told."""
        return _common(self.ways) if self.ways else None

    @property
    def partial_unit(self) -> int | None:
        """The unit of those returned values of which anything is known."""
        seen = [way for way in self.ways if way.unit is not None or way.number is not None or way.rates]
        return _common(seen) if seen else None

    @property
    def literal(self) -> bool:
        """Made of written numbers only."""
        return bool(self.ways) and all(way.unit == 0 and not way.rates for way in self.ways)

    @property
    def first(self) -> float | None:
        """The value at epoch 0."""
        return self.numbers[0][1] if self.numbers else None

    @property
    def highest(self) -> float | None:
        """The largest known value."""
        known = [number for _, number in self.numbers if number is not None]
        return max(known) if known else None

    @property
    def complete(self) -> bool:
        """Whether all values are known, if only by likely numbers."""
        return bool(self.numbers) and all(number is not None for _, number in self.numbers)

    @property
    def varies(self) -> bool:
        """Whether it has more than one value, as far as known."""
        known = {number for _, number in self.numbers}
        return len(known) > 1 or None in known

    @property
    def rates(self) -> tuple[str, ...]:
        """The names of the learning rates in it."""
        return tuple(sorted({name for way in self.ways if way.unit == 1 for name in way.rates}))


def _common(ways: Sequence[Quantity]) -> int | None:
    return q.same_unit((way for way in ways if way.number != 0.0), None).unit


def functions(values: list[Value], evaluator: Evaluator) -> list[Function]:
    """Find the functions among values: functions themselves, objects with ``__call__``, lists of either.

    Args:
        values: what a schedule's argument may be.
        evaluator: of the same file.
    """
    found: list[Function] = []
    for value in values:
        match value:
            case Function():
                found.append(value)
            case Instance():
                method = evaluator.member(value, "__call__")
                found.extend(part for part in method if isinstance(part, Function))
            case Items(items):
                found.extend(functions(list(items[:MANY]), evaluator))
    return list(dict.fromkeys(found))


def free_parameters(function: Function) -> list[tuple[str, ast.expr | None]]:
    """List the positional parameters that a caller fills, with their defaults.

    Args:
        function: the function, with what is bound to it.
    """
    places = [(argument.arg, default) for argument, default in parameters(function.node)]
    bound = len(function.arguments) + (function.owner is not None)
    named = {name for name, _ in function.keywords}
    free = []
    for name, default in places[bound:]:
        if name in named:
            # Whoever binds a name cannot be given it, or what follows it, by position.
            break
        free.append((name, default))
    return free


def trace(function: Function, evaluator: Evaluator, current: str = "") -> Curve:
    """Look at a function epoch by epoch.

    Args:
        function: the function.
        evaluator: of the same file.
        current: the name under which it is passed the current rate as well; empty if it is not.
    """
    more: tuple[Value, ...] = ()
    if current:
        more = (Quantity(unit=1, current=1, sure=False, rates=frozenset((current,))),)
    ways: list[Quantity] = []
    evaluator.bold = False
    for epoch in FORKED:
        evaluator.fresh()
        ways.extend(_numbers(evaluator.call(function, (_count(epoch), *more), ()), evaluator))
    numbers: list[tuple[int, float | None]] = []
    certain = True
    evaluator.bold = True
    try:
        for epoch in EPOCHS:
            evaluator.fresh()
            value = q.joined(_numbers(evaluator.call(function, (_count(epoch), *more), ()), evaluator) or [q.UNKNOWN])
            usable = value.number if value.number is not None and math.isfinite(value.number) else None
            certain = certain and value.sure and usable is not None
            numbers.append((epoch, usable))
            if (usable is None and epoch > 10) or (usable is not None and usable >= q.NO_RATE and epoch > 2):
                # It will not become known later, or is large enough to be no rate.
                break
    finally:
        evaluator.bold = False
    return Curve(tuple(dict.fromkeys(ways)), tuple(numbers), certain)


def _count(epoch: int) -> Quantity:
    return Quantity(number=float(epoch), counter=True)


def _numbers(values: list[Value], evaluator: Evaluator) -> list[Quantity]:
    real = [value for value in values if not isinstance(value, Nothing)]
    return [_unwrapped(evaluator.as_quantity([value])) for value in real]


def _unwrapped(value: Quantity) -> Quantity:
    return replace(value, number=None) if value.number is not None and not math.isfinite(value.number) else value
