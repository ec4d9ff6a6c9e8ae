"""Lengths of time before the length of a training is known: so many epochs, such a share of the whole run."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from choritsu.errors import ScheduleError, UnboundError


@dataclass(frozen=True)
class Duration:
    """So many steps, epochs, and shares of the run, added up.

    Args:
        steps: optimizer updates, or whatever one count of the schedule is.
        epochs: passes over the data; a number of steps once steps_per_epoch is known.
        share: of the whole run; a number of steps once the horizon is known.

    Example:
        >>> (epochs(5) + 100).resolved(steps_per_epoch=50, horizon=None)
        350
        >>> share(0.1)
        share(0.1)
    """

    steps: float = 0
    epochs: float = 0
    share: float = 0

    def __add__(self, other: Span) -> Duration:
        if isinstance(other, Duration):
            return Duration(self.steps + other.steps, self.epochs + other.epochs, self.share + other.share)
        if is_number(other):
            return Duration(self.steps + other, self.epochs, self.share)
        return NotImplemented

    __radd__ = __add__

    def __mul__(self, by: float) -> Duration:
        if is_number(by):
            return Duration(self.steps * by, self.epochs * by, self.share * by)
        return NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, by: float) -> Duration:
        if is_number(by):
            return Duration(self.steps / by, self.epochs / by, self.share / by)
        return NotImplemented

    def __neg__(self) -> Duration:
        return self * -1

    def __sub__(self, other: Span) -> Duration:
        return self + -other

    def __rsub__(self, other: float) -> Duration:
        return -self + other

    def __repr__(self) -> str:
        parts = [] if not self.steps else [f"{self.steps:g}"]
        parts += [f"{name}({value:g})" for name, value in (("epochs", self.epochs), ("share", self.share)) if value]
        return " + ".join(parts) or "0"

    def resolved(self, steps_per_epoch: float | None, horizon: float | None) -> float:
        """Give the number of steps.

        Args:
            steps_per_epoch: how many steps an epoch has, where known.
            horizon: how many steps the whole run has, where known.

        Returns:
            An integer where it is one.

        Raises:
            UnboundError: when one of them is needed and not known.
        """
        if self.epochs and steps_per_epoch is None:
            raise UnboundError(
                f"the schedule counts epochs ({self!r}), and is read in steps; say how many an epoch has: "
                "schedule.bind(steps_per_epoch=...)"
            )
        if self.share and horizon is None:
            raise UnboundError(
                f"the schedule counts in shares of the run ({self!r}), and its length is not known; say it in steps: "
                "schedule.bind(horizon=...)"
            )
        total = self.steps + self.epochs * (steps_per_epoch or 0) + self.share * (horizon or 0)
        return int(total) if math.isfinite(total) and total == int(total) else total


#: A length in steps, or one that is a number of steps only when the training is known.
Span: TypeAlias = float | Duration


def epochs(count: float) -> Duration:
    """Give a length of so many epochs.

    Args:
        count: passes over the data, at least 0; a part of one is allowed.

    Returns:
        A length for any schedule, resolved with ``schedule.bind(steps_per_epoch=...)``.

    Example:
        >>> from choritsu.schedules import linear
        >>> linear(1.0, 0.0, steps=epochs(2)).bind(steps_per_epoch=2).table()
        [1.0, 0.75, 0.5, 0.25]
    """
    return Duration(epochs=_counted(count, "epochs"))


def share(part: float) -> Duration:
    """Give a length that is a part of the whole run.

    Args:
        part: from 0 to 1, usually; of a schedule that is longer than the run the end never comes.

    Returns:
        A length for any schedule, resolved with ``schedule.bind(horizon=...)``.

    Example:
        >>> from choritsu.schedules import linear
        >>> linear(1.0, 0.0, steps=share(1.0)).bind(horizon=4).table()
        [1.0, 0.75, 0.5, 0.25]
    """
    return Duration(share=_counted(part, "share"))


def _counted(value: Any, name: str) -> float:
    if not is_number(value) or not math.isfinite(value) or value < 0:
        raise ScheduleError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)


def span(value: Any, name: str = "steps", *, least: float = 0, endless: bool = False) -> Span:
    """Check a length in steps.

    Args:
        value: a number or a `Duration`.
        name: what to call it in messages.
        least: a number must be larger than this.
        endless: whether it may be infinite.

    Raises:
        ScheduleError: when it is neither, or too small.
    """
    if isinstance(value, Duration):
        if value == Duration() and least >= 0:
            raise ScheduleError(f"{name} must be longer than none, got {value!r}")
        return value
    if not is_number(value) or math.isnan(value) or value <= least or (value == math.inf and not endless):
        raise ScheduleError(f"{name} must be a number of steps above {least:g}, epochs(n) or share(x), got {value!r}")
    return int(value) if math.isfinite(value) and value == int(value) else float(value)


def positive(value: Any, name: str) -> float:
    """Check a finite number above 0, such as a power or a decay."""
    if not is_number(value) or not math.isfinite(value) or value <= 0:
        raise ScheduleError(f"{name} must be a finite number above 0, got {value!r}")
    return float(value)


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a real number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
