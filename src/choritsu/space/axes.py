"""Axes: where a parameter's values lie on the unit interval. The only log and step arithmetic there is.

An axis maps u in [0, 1] to a value and back. Searching happens in u, where each value of a finite
axis owns an interval and `to_unit` answers with a point inside it, so that
``from_unit(to_unit(v)) == v``; a continuous axis returns to v within rounding, and so does a log scale of integers
beyond 2**46.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

from choritsu.space.values import canonical

Sampling: TypeAlias = Literal["linear", "log", "reverse_log"]

#: Beyond this many values a float can no longer tell two neighbours on the unit interval apart.
MOST_VALUES = 2**52


class Axis(Protocol):
    """A one-to-one map between the unit interval and the values of a parameter."""

    @property
    def size(self) -> int | None:
        """How many values there are; None on a continuous axis."""
        ...

    def value_at(self, index: int) -> Any:
        """Give the value number `index`, counted from 0; only a finite axis has one."""
        ...

    def middle(self, index: int) -> float:
        """Give the middle of the part of the unit interval that value number `index` owns."""
        ...

    def from_unit(self, u: float) -> Any:
        """Give the value at u in [0, 1]."""
        ...

    def to_unit(self, value: Any) -> float:
        """Give a u in [0, 1] whose value is `value`, or the nearest there is."""
        ...


def _cell(u: float, size: int) -> int:
    return min(int(u * size), size - 1)


@dataclass(frozen=True)
class Listed:
    """Values written out one by one, each owning an equal share of the unit interval."""

    values: Sequence[Any]

    @property
    def size(self) -> int:
        return len(self.values)

    def value_at(self, index: int) -> Any:
        return self.values[index]

    def middle(self, index: int) -> float:
        return (index + 0.5) / self.size

    def from_unit(self, u: float) -> Any:
        return self.values[_cell(u, self.size)]

    def to_unit(self, value: Any) -> float:
        wanted = canonical(value)
        for index, known in enumerate(self.values):
            if canonical(known) == wanted:
                return (index + 0.5) / self.size
        raise ValueError(f"{value!r} is none of {list(self.values)!r}")


def _powers(low: float, high: float, step: float) -> float:
    """Give the number n with ``low * step**n == high``; the ratio itself may be too large for a float."""
    return (math.log(high) - math.log(low)) / math.log(step)


def _exact(number: float) -> Decimal:
    """Read a float as the decimal number its user wrote, so that 0 + 5 * 0.2 is 1.0."""
    return Decimal(repr(number))


@dataclass(frozen=True)
class Stepped:
    """Equally likely values ``low + i * step`` (linear) or ``low * step**i`` (log), up to `high` inclusive.

    ``reverse_log`` mirrors the log values: ``low + high - low * step**(size - 1 - i)``.
    """

    low: float
    high: float
    step: float
    sampling: Sampling
    integral: bool

    @cached_property
    def size(self) -> int:
        if self.sampling == "linear":
            # Rounded down, so that the last value never lies beyond the end.
            exact = Context(prec=50, rounding=ROUND_FLOOR)
            width = exact.subtract(_exact(self.high), _exact(self.low))
            return int(exact.divide(width, _exact(self.step))) + 1
        # The logarithm of a whole power may come out a hair below it.
        powers = _powers(self.low, self.high, self.step)
        return int(powers + 1e-9 * max(1.0, powers)) + 1

    def _number(self, value: Decimal) -> float:
        return int(value) if self.integral else float(value)

    def value_at(self, index: int) -> float:
        # Whatever the program that this runs in has set for decimals of its own.
        with localcontext(Context(prec=28)):
            low, high, step = _exact(self.low), _exact(self.high), _exact(self.step)
            if self.sampling == "linear":
                return self._number(low + index * step)
            if self.sampling == "log":
                return self._number(min(low * step**index, high))
            return self._number(low + high - min(low * step ** (self.size - 1 - index), high))

    def middle(self, index: int) -> float:
        return (index + 0.5) / self.size

    def from_unit(self, u: float) -> float:
        return self.value_at(_cell(u, self.size))

    def to_unit(self, value: float) -> float:
        if self.sampling == "linear":
            with localcontext(Context(prec=28)):
                index = round((_exact(value) - _exact(self.low)) / _exact(self.step))
        elif self.sampling == "log":
            index = round(_powers(self.low, value, self.step))
        else:
            mirrored = max(self.high - value + self.low, self.low)
            index = self.size - 1 - round(_powers(self.low, mirrored, self.step))
        return (min(max(index, 0), self.size - 1) + 0.5) / self.size


@dataclass(frozen=True)
class LogIntegers:
    """Every integer from `low` to `high` inclusive, each as likely as its share of the log scale.

    The integer v owns the interval [v, v + 1) of the scale from `low` to ``high + 1``;
    with `mirrored` the large integers are the finely resolved ones.
    """

    low: int
    high: int
    mirrored: bool

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def value_at(self, index: int) -> int:
        return self.low + index

    def middle(self, index: int) -> float:
        return self.to_unit(self.value_at(index))

    def _mirror(self, value: int) -> int:
        return self.low + self.high - value if self.mirrored else value

    def from_unit(self, u: float) -> int:
        u = 1.0 - u if self.mirrored else u
        value = int(self.low * ((self.high + 1) / self.low) ** u)
        return self._mirror(min(max(value, self.low), self.high))

    def to_unit(self, value: int) -> float:
        u = math.log((self._mirror(value) + 0.5) / self.low) / math.log((self.high + 1) / self.low)
        return 1.0 - u if self.mirrored else u


@dataclass(frozen=True)
class Continuous:
    """Every float from `low` to `high`, both included.

    ========== ==========================================
    linear     ``low + u * (high - low)``
    log        ``low * (high / low)**u``
    reverse_log ``low + high - low * (high / low)**(1 - u)``
    ========== ==========================================
    """

    low: float
    high: float
    sampling: Sampling

    @property
    def size(self) -> int | None:
        return 1 if self.low == self.high else None

    def value_at(self, index: int) -> float:  # noqa: ARG002  # the one value there may be
        if self.size is None:
            raise IndexError("a continuous axis has no numbered values; give a step")
        return self.low

    def middle(self, index: int) -> float:  # noqa: ARG002  # as above
        return 0.5

    def from_unit(self, u: float) -> float:
        # The ends are exact, whatever the logarithms round to.
        if u in (0.0, 1.0):
            return self.high if u else self.low
        if self.sampling == "linear":
            # Written as a weighted mean, which cannot overflow however far apart the ends are.
            value = self.low * (1.0 - u) + self.high * u
        elif self.sampling == "log":
            value = self._log(u)
        else:
            value = self.high - self._log(1.0 - u) + self.low
        return min(max(value, self.low), self.high)

    def _log(self, u: float) -> float:
        return math.exp(math.log(self.low) * (1.0 - u) + math.log(self.high) * u)

    def to_unit(self, value: float) -> float:
        if self.low == self.high:
            return 0.5
        if self.sampling == "linear":
            # Halves, because the whole width of the floats is more than a float can hold.
            width = self.high / 2 - self.low / 2
            # Half of the smallest float there is, is none.
            u = (value / 2 - self.low / 2) / width if width else float(value > self.low)
        elif self.sampling == "log":
            u = self._position(value)
        else:
            u = 1.0 - self._position(max(self.high - value + self.low, self.low))
        return min(max(u, 0.0), 1.0)

    def _position(self, value: float) -> float:
        width = math.log(self.high) - math.log(self.low)
        # Between neighbouring floats there may be no room for logarithms.
        return (math.log(value) - math.log(self.low)) / width if width else float(value > self.low)
