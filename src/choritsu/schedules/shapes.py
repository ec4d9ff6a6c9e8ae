"""The curves that schedules are made of: numbers over steps, without a unit. Plain `math`, and no state.

A shape is a frozen value that is called with a step, counted from 0, and gives a number. `length` is the step from
which nothing is planned any more; there it has reached its end, and holds it.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, Protocol, TypeAlias, cast, runtime_checkable

from choritsu.errors import ScheduleError, ScheduleWarning
from choritsu.schedules.durations import Duration, Span

Ease: TypeAlias = Literal["in", "out"]
Between: TypeAlias = Literal["hold", "linear", "cosine"]
Afterwards: TypeAlias = Literal["hold", "repeat", "mirror", "error"]


@runtime_checkable
class Shape(Protocol):
    """A curve over steps."""

    @property
    def extent(self) -> Span:
        """The planned number of steps, or what it is once the training is known; infinite where there is no end."""
        ...

    @property
    def length(self) -> float:
        """The planned number of steps."""
        ...

    def __call__(self, step: float) -> float:
        """Give the value at a step of at least 0."""
        ...


def bound(shape: Shape, steps_per_epoch: float | None, horizon: float | None) -> Shape:
    """Replace every `Duration` inside a shape by its number of steps.

    Raises:
        UnboundError: when what is needed is not given.
        ScheduleError: when a length comes to no steps, or less.
    """

    def resolved(value: Any, name: str) -> Any:
        if isinstance(value, Duration):
            steps = value.resolved(steps_per_epoch, horizon)
            # Only a shift may go back.
            if not steps > 0 and name != "by":
                raise ScheduleError(f"{value!r} comes to {steps:g} steps, where it takes more than none")
            return steps
        if isinstance(value, tuple):
            return tuple(resolved(item, name) for item in value)
        return bound(value, steps_per_epoch, horizon) if is_node(value) else value

    node = cast(Any, shape)
    changed = {field.name: resolved(getattr(node, field.name), field.name) for field in fields(node)}
    return cast(Shape, replace(node, **changed))


def fitted(shape: Shape, steps_per_epoch: float | None, horizon: float | None) -> Shape:
    """Do what `bound` does, and say where something stands before or behind what takes the whole run."""
    made = bound(shape, steps_per_epoch, horizon)
    if horizon is not None and Duration(share=1) in everything_in(shape) and horizon < made.length < math.inf:
        warnings.warn(
            f"a part of the schedule takes the whole run, share(1), and with what stands beside it, such as a warm-up, "
            f"it is {made.length:g} steps long, and the training {horizon:g}: its end never comes. Let that part be as "
            "much shorter, such as steps=share(1.0) - share(0.1)",
            ScheduleWarning,
            stacklevel=4,
        )
    return made


def is_node(value: object) -> bool:
    """Tell whether `value` is one of the shapes below."""
    return isinstance(value, NODES)


def parts_of(shape: Shape) -> list[Any]:
    """Give the values of a shape's fields, those inside tuples one by one."""
    found: list[Any] = []
    pending = [getattr(shape, field.name) for field in fields(cast(Any, shape))]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending.extend(value)
        else:
            found.append(value)
    return found


def everything_in(shape: Shape) -> list[Any]:
    """Give a shape, all that is inside it, and so on down."""
    found: list[Any] = []
    pending: list[Any] = [shape]
    while pending:
        value = pending.pop()
        found.append(value)
        if is_node(value):
            pending.extend(parts_of(value))
    return found


def _number(value: Span) -> float:
    """Read a length that has been resolved."""
    # A Duration refuses to be compared; resolving it with nothing known says what is missing.
    return value.resolved(None, None) if isinstance(value, Duration) else value


def _check_order(points: tuple[Span, ...]) -> None:
    known = [point for point in points if not isinstance(point, Duration)]
    if any(later <= earlier for earlier, later in pairwise(known)):
        raise ScheduleError(f"steps must increase, got {', '.join(f'{point:g}' for point in known)}")


class _Node:
    """What is the same in all shapes."""

    @property
    def length(self) -> float:
        return _number(cast(Shape, self).extent)


class _Spanned(_Node):
    """A shape that says itself how long it is."""

    span: Span

    @property
    def extent(self) -> Span:
        return self.span


class _Around(_Node):
    """A shape that changes the values of another, and not its length."""

    part: Shape

    @property
    def extent(self) -> Span:
        return self.part.extent


@dataclass(frozen=True)
class Constant(_Spanned):
    """The same value at all times; planned for `span` steps."""

    value: float
    span: Span = math.inf

    def __call__(self, step: float) -> float:  # noqa: ARG002  # a shape's signature
        return self.value


@dataclass(frozen=True)
class Polynomial(_Spanned):
    """end + (start - end) (1 - k/T)^power, or with ease "in" start + (end - start) (k/T)^power; k at most T."""

    start: float
    end: float
    span: Span
    power: float = 1.0
    ease: Ease = "out"

    def __call__(self, step: float) -> float:
        length = self.length
        if step >= length:
            return self.end
        if self.ease == "in":
            return self.start + (self.end - self.start) * math.pow(step / length, self.power)
        # Of the steps that are left, so that a tenth is 0.1 and not 1 - 0.9.
        return self.end + (self.start - self.end) * math.pow((length - step) / length, self.power)


@dataclass(frozen=True)
class Cosine(_Spanned):
    """end + (start - end) ((1 + cos(pi k/T)) / 2)^power; k at most T."""

    start: float
    end: float
    span: Span
    power: float = 1.0

    def __call__(self, step: float) -> float:
        length = self.length
        if step >= length:
            return self.end
        return self.end + (self.start - self.end) * math.pow((1 + math.cos(math.pi * step / length)) / 2, self.power)


@dataclass(frozen=True)
class Exponential(_Spanned):
    """start * decay^(k/every), the exponent rounded down in a staircase."""

    start: float
    decay: float
    every: Span = 1
    staircase: bool = False
    span: Span = math.inf

    def __call__(self, step: float) -> float:
        times = min(step, self.length) / _number(self.every)
        return self.start * math.pow(self.decay, math.floor(times) if self.staircase else times)


@dataclass(frozen=True)
class Inverse(_Spanned):
    """start * (1 + decay k/every)^-power, k/every rounded down in a staircase."""

    start: float
    decay: float
    every: Span = 1
    power: float = 1.0
    staircase: bool = False
    span: Span = math.inf

    def __call__(self, step: float) -> float:
        times = min(step, self.length) / _number(self.every)
        return self.start / math.pow(1 + self.decay * (math.floor(times) if self.staircase else times), self.power)


@dataclass(frozen=True)
class Piecewise(_Node):
    """Values at given steps; between them the earlier one is held, or a line or half a cosine leads to the next."""

    at: tuple[Span, ...]
    values: tuple[float, ...]
    between: Between = "hold"

    def __post_init__(self) -> None:
        if not self.at or len(self.at) != len(self.values):
            raise ScheduleError(f"{len(self.at)} steps need as many values, got {len(self.values)}")
        _check_order(self.at)

    @property
    def extent(self) -> Span:
        return self.at[-1]

    def __call__(self, step: float) -> float:
        at = [_number(point) for point in self.at]
        index = bisect_right(at, step) - 1
        if index < 0:
            return self.values[0]
        if self.between == "hold" or index == len(at) - 1:
            return self.values[index]
        piece = Polynomial if self.between == "linear" else Cosine
        return piece(self.values[index], self.values[index + 1], at[index + 1] - at[index])(step - at[index])


@dataclass(frozen=True)
class Function(_Spanned):
    """What a user's function of the step gives."""

    function: Callable[[Any], float]
    span: Span = math.inf

    def __call__(self, step: float) -> float:
        return self.function(step)


@dataclass(frozen=True)
class Join(_Node):
    """One shape after another, each from its own step 0; a boundary belongs to the shape that begins there."""

    parts: tuple[Shape, ...]
    at: tuple[Span, ...]

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.at) + 1 or not self.at:
            raise ScheduleError(
                f"{len(self.parts)} schedules have {len(self.parts) - 1} boundaries, got {len(self.at)}"
            )
        _check_order(self.at)

    @property
    def extent(self) -> Span:
        return self.at[-1] + self.parts[-1].extent

    def __call__(self, step: float) -> float:
        at = [_number(point) for point in self.at]
        index = bisect_right(at, step)
        return self.parts[index](step - at[index - 1] if index else step)


@dataclass(frozen=True)
class Warmup(_Node):
    """A line from `init` to where the shape begins, over `span` steps, then the shape from its own step 0.

    init + (shape(0) - init) k/W; not `from_zero`, (k + 1)/W in place of k/W.
    """

    part: Shape
    span: Span
    init: float = 0.0
    from_zero: bool = True

    @property
    def extent(self) -> Span:
        return self.span + self.part.extent

    def __call__(self, step: float) -> float:
        length = _number(self.span)
        if step >= length:
            return self.part(step - length)
        done = step if self.from_zero else min(step + 1, length)
        # A share of at most 1, so that rounding never leads below 0.
        return self.init + (self.part(0) - self.init) * (done / length)


@dataclass(frozen=True)
class Repeat(_Node):
    """A shape over and over; cycle i is `stretch`^i times as long, and its values are `scale`^i times as large."""

    part: Shape
    times: float = math.inf
    stretch: float = 1.0
    scale: float = 1.0

    @property
    def extent(self) -> Span:
        return self._until(self.times) if math.isfinite(self.times) else math.inf

    def __call__(self, step: float) -> float:
        if step >= self.length:
            return self.part(self.part.length) * math.pow(self.scale, self.times - 1)
        cycle = self._cycle(step)
        place = step - self._begin(cycle)
        # Undivided where it can be: a user's function may want a whole number.
        stretched = place if self.stretch == 1 else place / math.pow(self.stretch, cycle)
        return self.part(stretched) * math.pow(self.scale, cycle)

    def _begin(self, cycle: float) -> float:
        return _number(self._until(cycle))

    def _until(self, cycle: float) -> Span:
        if self.stretch == 1:
            return self.part.extent * cycle
        return self.part.extent * (math.pow(self.stretch, cycle) - 1) / (self.stretch - 1)

    def _cycle(self, step: float) -> int:
        if not 0 < self.part.length < math.inf:
            raise ScheduleError(f"what is {self.part.length:g} steps long cannot be repeated; give it steps=...")
        lengths = step / self.part.length
        if self.stretch == 1:
            guess = math.floor(lengths)
        else:
            inside = lengths * (self.stretch - 1) + 1
            if inside <= 0:
                raise ScheduleError(
                    f"cycles that shrink by {self.stretch:g} never reach step {step:g}; say how often: times=..."
                )
            guess = max(math.floor(math.log(inside, self.stretch)), 0)
        # The logarithm may round to either side of a boundary, which belongs to the cycle that begins there.
        while guess > 0 and self._begin(guess) > step:
            guess -= 1
        while self._begin(guess + 1) <= step:
            guess += 1
        return guess


@dataclass(frozen=True)
class After(_Node):
    """What becomes of a shape after its end: held, repeated, run back and forth, or an error."""

    part: Shape
    then: Afterwards

    @property
    def extent(self) -> Span:
        return math.inf if self.then in ("repeat", "mirror") else self.part.extent

    def __call__(self, step: float) -> float:
        end = self.part.length
        if step < end or self.then == "hold" or not 0 < end < math.inf:
            return self.part(step)
        if self.then == "repeat":
            return self.part(step % end)
        if self.then == "mirror":
            place = step % (2 * end)
            return self.part(place if place <= end else 2 * end - place)
        if step > end:
            raise ScheduleError(f"the schedule ends at step {end:g}, and was asked for step {step:g}")
        return self.part(step)


@dataclass(frozen=True)
class Scale(_Around):
    """A shape times a number."""

    part: Shape
    by: float

    def __call__(self, step: float) -> float:
        return self.by * self.part(step)


@dataclass(frozen=True)
class Quotient(_Around):
    """A shape divided by a number."""

    part: Shape
    by: float

    def __call__(self, step: float) -> float:
        return self.part(step) / self.by


@dataclass(frozen=True)
class Lift(_Around):
    """A shape plus a number."""

    part: Shape
    by: float

    def __call__(self, step: float) -> float:
        return self.by + self.part(step)


@dataclass(frozen=True)
class Product(_Node):
    """Two shapes multiplied, step by step."""

    left: Shape
    right: Shape

    @property
    def extent(self) -> Span:
        left, right = self.left.extent, self.right.extent
        if left == right or math.inf in (left, right):
            return left if left == right else math.inf
        return max(_number(left), _number(right))

    def __call__(self, step: float) -> float:
        return self.left(step) * self.right(step)


@dataclass(frozen=True)
class Shift(_Node):
    """A shape begun `by` steps in; where `by` is negative, that much later, its first value held until then."""

    part: Shape
    by: Span

    @property
    def extent(self) -> Span:
        left = self.part.extent - self.by
        return left if isinstance(left, Duration) else max(left, 0)

    def __call__(self, step: float) -> float:
        return self.part(max(step + _number(self.by), 0))


@dataclass(frozen=True)
class Clip(_Around):
    """A shape, its values kept between `low` and `high`."""

    part: Shape
    low: float
    high: float

    def __call__(self, step: float) -> float:
        return min(max(self.part(step), self.low), self.high)


NODES: tuple[type[Any], ...] = (
    Constant,
    Polynomial,
    Cosine,
    Exponential,
    Inverse,
    Piecewise,
    Function,
    Join,
    Warmup,
    Repeat,
    After,
    Scale,
    Quotient,
    Lift,
    Product,
    Shift,
    Clip,
)
