"""A block of code in which trainings are watched."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from choritsu.errors import ScheduleWarning
from choritsu.schedules.guarding.traps import Suspicion, Trap

W = TypeVar("W")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hints:
    """What is known of the training beforehand.

    Args:
        horizon: how many steps of the schedule it has.
        steps_per_epoch: how many updates an epoch has.
    """

    horizon: float | None = None
    steps_per_epoch: float | None = None


class Watch(Protocol):
    """A framework's part of the guard."""

    def look(self, things: list[Any]) -> Iterable[Suspicion]:
        """Look at what the user gave, and keep an eye on it."""
        ...

    def install(self) -> None:
        """See what is made and trained from now on."""
        ...

    def remove(self) -> None:
        """Leave the framework as it was."""
        ...

    def end(self) -> Iterable[Suspicion]:
        """Look back at a block that has run to its end."""
        ...


class Guard:
    """What `guard` gives: a context in which trainings are watched.

    Args:
        hints: what is known of them.
        allowed: what is not to be told.
        make: gives the frameworks' parts, as far as frameworks are imported.

    Attributes:
        suspicions: what looked wrong so far, in the order in which it was seen; `report` writes it as text.
        entered: the frame that entered the block, by its identity, and its line.
    """

    def __init__(self, hints: Hints, allowed: frozenset[Trap], make: Callable[[Guard], list[Watch]]) -> None:
        self.suspicions: list[Suspicion] = []
        self.hints = hints
        self.allowed = allowed
        self._make = make
        self._watches: list[Watch] = []
        self._outer: Guard | None = None
        self._whole = True
        self._chosen: Callable[[], Iterable[Any]] = tuple
        self.entered = (0, 0)

    def report(self) -> str:
        """Write what looked wrong, one line each; empty where nothing did."""
        return "\n".join(f"{item.trap}: {item.message}" for item in self.suspicions)

    def cut_short(self) -> None:
        """Say that the training is ended early, so that no schedule is found too long for it."""
        self._whole = False

    def tune(self, chosen: Callable[[], Iterable[Any]]) -> None:
        """Say what a search has chosen, which finds out by itself which rates are too large.

        Args:
            chosen: gives the values so far.
        """
        self._chosen = chosen

    def _was_chosen(self, item: Suspicion) -> bool:
        rate = item.numbers.get("rate") if item.trap is Trap.FACTOR_AS_RATE else None
        return rate is not None and any(
            isinstance(value, int | float) and math.isclose(value, rate, rel_tol=1e-6) for value in self._chosen()
        )

    def run(self, look: Callable[[], Iterable[Suspicion]]) -> None:
        """Run one of the guard's own looks: its errors are nobody's business, and what it finds is told.

        Args:
            look: gives suspicions.
        """
        try:
            found = [item for item in look() if item.trap not in self.allowed and not self._was_chosen(item)]
        except Exception:  # noqa: BLE001  # a guard that stops a training is worse than none
            _LOG.debug("the guard could not look", exc_info=True)
            return
        for item in found:
            if item not in self.suspicions:
                self._note(item)
                hint = f'; if it is meant: ct.schedules.guard(allow=["{item.trap}"])'
                warnings.warn(f"{item.message}{hint}", ScheduleWarning, stacklevel=_level())

    def watch(self, kind: type[W]) -> W | None:
        """Give the part of the guard for a framework, while it watches."""
        return next((watch for watch in self._watches if isinstance(watch, kind)), None)

    def _note(self, item: Suspicion) -> None:
        self.suspicions.append(item)
        if self._outer is not None and item.trap not in self._outer.allowed:
            self._outer._note(item)

    def look(self, things: list[Any]) -> None:
        """Look at what the user gave, and keep an eye on it."""
        for watch in self._made():
            self.run(lambda watch=watch: watch.look(things))  # type: ignore[misc]

    def _made(self) -> list[Watch]:
        if not self._watches:
            self._watches = self._make(self)
        return self._watches

    def __enter__(self) -> Self:
        frame = sys._getframe(1)
        self.entered = (id(frame), frame.f_lineno)
        self._outer = _IN_FORCE.get()
        _IN_FORCE.set(self)
        self.run(self._install)
        return self

    def _install(self) -> Iterable[Suspicion]:
        for watch in self._made():
            watch.install()
        return ()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _IN_FORCE.set(self._outer)
        watches, self._watches = self._watches, []
        for watch in watches:
            self.run(lambda watch=watch: watch.remove() or ())  # type: ignore[misc]
        if error is None and self._whole:
            for watch in watches:
                self.run(watch.end)


#: The guard of the block that runs; each thread has its own.
_IN_FORCE: ContextVar[Guard | None] = ContextVar("choritsu_guard", default=None)


def in_force() -> Guard | None:
    """Give the innermost guard of the block that runs, if any."""
    return _IN_FORCE.get()


#: Frames that are not the user's.
_OURS = {"choritsu", "torch", "keras", "functools", "contextlib", "tensorflow", "jax", "lightning", "pytorch_lightning"}


def _level() -> int:
    """Find the user's line: how far up it is from where the warning is given."""
    level, frame = 1, sys._getframe(1)
    while frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        if frame.f_back is None:
            return 2
        level, frame = level + 1, frame.f_back
    return level
