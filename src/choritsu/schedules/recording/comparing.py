"""Noting the learning rate that an optimizer really uses, and comparing it with the one that was declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from choritsu.errors import ScheduleError
from choritsu.schedules.values import Factor, Schedule

Per: TypeAlias = Literal["step", "epoch"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """How rates that were used differ from those that were declared.

    Args:
        per: what was compared, each "step" or each "epoch".
        used: the rates that were recorded.
        declared: what the schedule gives for them.
        at: the step or epoch of each, from 0.
        tolerance: the relative difference that counts as none.
    """

    per: Per
    used: tuple[float, ...]
    declared: tuple[float, ...]
    at: tuple[int, ...]
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest relative difference; infinite where 0 was declared and something else used."""
        return max((_apart(*pair) for pair in zip(self.used, self.declared, strict=True)), default=0.0)

    @property
    def first(self) -> int | None:
        """The first step or epoch, from 0, at which they differ; None where they do not."""
        pairs = zip(self.at, self.used, self.declared, strict=True)
        return next((at for at, used, declared in pairs if _apart(used, declared) > self.tolerance), None)

    @property
    def equal(self) -> bool:
        """Whether something was recorded, and all of it was as declared."""
        return bool(self.used) and self.first is None

    def __bool__(self) -> bool:
        return self.equal

    def __repr__(self) -> str:
        if not self.used:
            return f"nothing to compare: no {self.per} was recorded"
        if self.first is None:
            many = len(self.used)
            return f"equal in all {many} {self.per}s" if many > 1 else f"equal in the one {self.per}"
        place = self.at.index(self.first)
        return f"differs from {self.per} {self.first}: {self.used[place]:.6g} used, {self.declared[place]:.6g} declared"


def _apart(used: float, declared: float) -> float:
    if used == declared:
        return 0.0
    return abs(used - declared) / declared if declared else float("inf")


class Recorder:
    """What `record` gives: the rates of an optimizer, as it used them.

    Attributes:
        rates: what was noted, in order; of the first parameter group.
    """

    #: The relative difference that rounding alone makes.
    tolerance = 1e-6

    per: Per

    @property
    def rates(self) -> list[float]:
        """The rates of the first parameter group, in order."""
        raise NotImplementedError

    def compare(self, schedule: Schedule | Callable[[int], float], *, group: int = 0, begin: int = 0) -> Comparison:
        """Compare what was used with what was declared.

        Args:
            schedule: a `Rate`, or a function of the step or epoch that gives a rate.
            group: the parameter group, in PyTorch.
            begin: the step or epoch at which recording began.

        Returns:
            A comparison, true where all was equal; written out, it says where it was not.

        Raises:
            ScheduleError: for a `Factor`, which is no rate, for what is no schedule, and for a parameter group that the
                optimizer has not.
        """
        if isinstance(schedule, Factor):
            raise ScheduleError(f"{schedule!r} is a factor of a rate; compare with the rate: base_rate * factor")
        if not callable(schedule):
            raise ScheduleError(
                f"compare takes a Rate or a function that gives one, got {schedule!r}; for the same rate at all times "
                "write ct.schedules.Rate(1e-3)"
            )
        used = self._of_group(group)
        at = range(begin, begin + len(used))
        declared = tuple(float(schedule(step)) for step in at)
        return Comparison(self.per, tuple(used), declared, tuple(at), self.tolerance)

    def _of_group(self, group: int) -> Sequence[float]:
        raise NotImplementedError


def checked_per(per: str) -> Per:
    """Read what is to be recorded.

    Raises:
        ScheduleError: when it is neither "step" nor "epoch".
    """
    if per not in ("step", "epoch"):
        raise ScheduleError(f'per is "step" or "epoch", got {per!r}')
    return per  # type: ignore[return-value]
