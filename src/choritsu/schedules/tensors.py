"""Schedules inside compiled programs: a table of values computed beforehand, and the formulas beyond it.

A compiled program works in single precision, where a cosine is off by several units in the last place. The table holds
what plain `math` gives in double precision, rounded once, so that a framework uses the very rate that was declared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from choritsu.errors import ScheduleError
from choritsu.schedules.durations import Duration
from choritsu.schedules.shapes import (
    After,
    Clip,
    Constant,
    Cosine,
    Exponential,
    Function,
    Inverse,
    Join,
    Lift,
    Piecewise,
    Polynomial,
    Product,
    Quotient,
    Repeat,
    Scale,
    Shape,
    Shift,
    Warmup,
    everything_in,
)

#: A schedule that ends within so many steps is tabulated whole.
WHOLE = 2**20
#: So many steps of any other; computing them takes some hundredths of a second.
BEGINNING = 2**14


def check_compilable(shape: Shape) -> None:
    """Refuse a shape that shall end in an error.

    Raises:
        ScheduleError: when it does.

    Example:
        >>> check_compilable(After(Polynomial(1.0, 0.0, 4), "hold"))
    """
    if any(isinstance(node, After) and node.then == "error" for node in everything_in(shape)):
        raise ScheduleError(
            'a compiled program cannot raise an error at the end of the schedule; leave out .after("error"), and the '
            "last value is held"
        )


def tabulated(shape: Shape, horizon: int | None) -> tuple[list[float], bool]:
    """List a shape's values from step 0 on.

    Args:
        shape: bound.
        horizon: the last step to list; by default the shape's end.

    Returns:
        The values, and whether the last of them holds from there on.

    Raises:
        ScheduleError: when a function without an end would be needed beyond the table, and see `check_compilable`.
    """
    check_compilable(shape)
    ends = math.isfinite(shape.length)
    last = math.ceil(shape.length) if ends and shape.length <= WHOLE else BEGINNING
    if isinstance(shape, Constant):
        last = 0
    if horizon is not None:
        last = min(horizon, last) if ends else horizon
    holds = (ends and last >= shape.length) or isinstance(shape, Constant)
    opaque = [node for node in everything_in(shape) if isinstance(node, Function)]
    if opaque and not holds:
        if horizon is None:
            raise ScheduleError(
                "a function of yours cannot be compiled, and must be called for every step beforehand; say how many "
                "there will be: from_function(f, steps=...), or horizon=..."
            )
        holds = True
    if any(isinstance(value, Duration) for value in everything_in(shape)):
        raise ScheduleError("the schedule counts epochs or shares; bind it first")
    return [_checked(shape, step) for step in range(last + 1)], holds


def _checked(shape: Shape, step: int) -> float:
    value = float(shape(step))
    if not 0 <= value < math.inf:
        raise ScheduleError(f"the schedule gives {value!r} at step {step}; a rate is finite and at least 0")
    return value


def looked_up(table: Any, size: int, shape: Shape | None, step: Any, time: Any, xp: Any) -> Any:
    """Read the value at `step`, a tensor of an integer type.

    Args:
        table: the values, as an array of `xp`.
        size: how many they are.
        shape: gives what lies beyond the table; None to hold its last value.
        step: counts from 0.
        time: the same, of the table's type.
        xp: ``keras.ops`` or ``jax.numpy``.
    """
    inside = xp.take(table, xp.minimum(step, size - 1))
    if shape is None:
        return inside
    return xp.where(step < size, inside, computed(shape, time, xp))


def computed(shape: Shape, step: Any, xp: Any) -> Any:
    """Evaluate a shape on a tensor of steps, in the tensor's precision.

    Example:
        >>> import numpy as np
        >>> computed(Polynomial(1.0, 0.0, 4), np.array([0.0, 1.0, 9.0]), np).tolist()
        [1.0, 0.75, 0.0]
    """

    def at(part: Shape, where: Any) -> Any:
        return computed(part, where, xp)

    match shape:
        case Constant(value):
            return step * 0 + value
        case Polynomial(start, end, _, power, ease):
            done = xp.minimum(step / shape.length, 1.0)
            if ease == "in":
                return start + (end - start) * xp.power(done, power)
            return end + (start - end) * xp.power(1 - done, power)
        case Cosine(start, end, _, power):
            done = xp.minimum(step / shape.length, 1.0)
            return end + (start - end) * xp.power((1 + xp.cos(done * math.pi)) / 2, power)
        case Exponential(start, decay):
            return start * xp.exp(math.log(decay) * _times(shape, step, xp))
        case Inverse(start, decay, _, power):
            return start / xp.power(1 + decay * _times(shape, step, xp), power)
        case Piecewise(points, values, between):
            return _pieces(_known(points), values, between, step, xp)
        case Join(parts, points):
            value = at(parts[0], step)
            for part, point in zip(parts[1:], _known(points), strict=True):
                value = xp.where(step < point, value, at(part, xp.maximum(step - point, 0.0)))
            return value
        case Warmup(part, _, init, from_zero):
            length = shape.length - part.length if math.isfinite(part.length) else _known((shape.span,))[0]
            done = xp.minimum((step if from_zero else step + 1) / length, 1.0)
            rise = init + (part(0) - init) * done
            return xp.where(step < length, rise, at(part, xp.maximum(step - length, 0.0)))
        case Repeat():
            return _cycles(shape, step, xp)
        case After(part, then):
            return _afterwards(part, then, step, xp)
        case Scale(part, by):
            return at(part, step) * by
        case Quotient(part, by):
            return at(part, step) / by
        case Lift(part, by):
            return at(part, step) + by
        case Product(left, right):
            return at(left, step) * at(right, step)
        case Shift(part, by):
            return at(part, xp.maximum(step + _known((by,))[0], 0.0))
        case Clip(part, low, high):
            value = xp.maximum(at(part, step), low)
            return xp.minimum(value, high) if math.isfinite(high) else value
        case _:
            raise ScheduleError(f"{type(shape).__name__} cannot be compiled; say horizon=..., to have it tabulated")


def _known(points: Sequence[Any]) -> list[float]:
    return [point.resolved(None, None) if isinstance(point, Duration) else point for point in points]


def _times(shape: Exponential | Inverse, step: Any, xp: Any) -> Any:
    every = _known((shape.every,))[0]
    times = (xp.minimum(step, shape.length) if math.isfinite(shape.length) else step) / every
    return xp.floor(times) if shape.staircase else times


def _pieces(points: list[float], values: Sequence[float], between: str, step: Any, xp: Any) -> Any:
    value = step * 0 + values[0]
    for index, point in enumerate(points):
        here: Any = values[index]
        if between != "hold" and index + 1 < len(points):
            piece = Polynomial if between == "linear" else Cosine
            here = computed(
                piece(values[index], values[index + 1], points[index + 1] - point), xp.maximum(step - point, 0.0), xp
            )
        value = xp.where(step < point, value, here)
    return value


def _cycles(shape: Repeat, step: Any, xp: Any) -> Any:
    first = shape.part.length
    inside = xp.minimum(step, shape.length) if math.isfinite(shape.length) else step
    if shape.stretch == 1:
        cycle = xp.floor(inside / first)
        begin, long = cycle * first, 1.0
    else:
        cycle = xp.floor(xp.log(inside / first * (shape.stretch - 1) + 1) / math.log(shape.stretch) + 1e-5)
        long = xp.power(step * 0 + shape.stretch, cycle)
        begin = first * (long - 1) / (shape.stretch - 1)
    value = computed(shape.part, xp.maximum((inside - begin) / long, 0.0), xp)
    value = value * xp.power(step * 0 + shape.scale, cycle)
    if not math.isfinite(shape.length):
        return value
    return xp.where(step < shape.length, value, shape(shape.length))


def _afterwards(part: Shape, then: str, step: Any, xp: Any) -> Any:
    end = part.length
    if not math.isfinite(end) or then == "hold":
        return computed(part, step, xp)
    if then == "repeat":
        return computed(part, xp.mod(step, end), xp)
    place = xp.mod(step, 2 * end)
    return computed(part, xp.minimum(place, 2 * end - place), xp)
