"""What all readers share: what was read is compared with what the framework gives, and refused where they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from choritsu.errors import ScheduleError
from choritsu.schedules.values import Schedule

_S = TypeVar("_S", bound=Schedule)

_MOST = 4096


def agreed(read: Sequence[_S]) -> _S | tuple[_S, ...]:
    """Give the one schedule that all parameter groups have, or a tuple with one for each."""
    return read[0] if all(schedule == read[0] for schedule in read) else tuple(read)


def whole(value: Any, name: str) -> int:
    """Check a number of steps that the framework counts one by one.

    Raises:
        ScheduleError: when it is no whole number above 0.
    """
    if not isinstance(value, int | float) or not math.isfinite(value) or value != int(value) or value < 1:
        raise ScheduleError(f"{name} must be a whole number of steps, at least 1, to be read, got {value!r}")
    return int(value)


def sampled(end: float, marks: Iterable[float] = (), most: int = _MOST) -> list[int]:
    """Choose the steps to compare at: all up to `end`, or many of them and those around the marks."""
    last = math.ceil(end)
    spread = range(0, last + 1, max(1, math.ceil(last / most)))
    near = {math.floor(mark) + beside for mark in marks for beside in (-1, 0, 1, 2)}
    return sorted({*spread, *(step for step in near if step >= 0)})


def verified(
    schedule: _S,
    given: Callable[[list[int]], Sequence[float]],
    steps: list[int],
    *,
    name: str,
    relative: float,
    absolute: float,
    late: float = 0.0,
) -> _S:
    """Give the schedule back when it has the values that the framework gives.

    Args:
        schedule: what was read.
        given: the framework's values at steps.
        steps: where to compare.
        name: what was read, for the message.
        relative: how far a value may be from the framework's, as a share of it.
        absolute: likewise, as a share of the largest value.
        late: by what share of a step's number the framework may be late or early with a jump.

    Raises:
        ScheduleError: when it has other values.
    """
    theirs = given(steps)
    largest = max((abs(value) for value in theirs if not math.isnan(value)), default=0.0)
    for step, their in zip(steps, theirs, strict=True):
        # Compiled, 1 - k/T may come out a hair below 0 at T, where a root of it is no number.
        if step and math.isnan(their):
            continue
        ours = [schedule(place) for place in {step, step * (1 - late), step * (1 + late)}]
        if not any(math.isclose(our, their, rel_tol=relative, abs_tol=absolute * largest) for our in ours):
            raise ScheduleError(
                f"{name} reads as {schedule!r}, but gives {their!r} at step {step}, and not {schedule(step)!r}; "
                f"keep its values instead: {type(schedule).__name__}.from_function(f, steps=...).tabulated()"
            )
    return schedule
