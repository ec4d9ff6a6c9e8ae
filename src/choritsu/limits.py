"""A trial that takes too long fails: in the middle of whatever it does, where the operating system can say so."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: A limit of more seconds is none: it is longer than timers can be.
LONGEST = 1e8
#: After so many seconds the alarm rings again, should the error have been lost.
AGAIN = 1.0


class OverdueError(BaseException):
    """Leaves a trial whose time is up; no ``except Exception`` of a user's function catches it."""


class Limit:
    """Ends what runs in its block after some seconds, by an error.

    In a program's main thread that error comes at once, but out of native code that does not return. In other threads,
    and on Windows, it comes when the trial tells of something.

    Args:
        seconds: how long the block may take; None for as long as it likes.
        clock: the time in seconds, from any beginning.

    Raises:
        OverdueError: in the block, once the time is up.

    Example:
        >>> from itertools import count
        >>> limit = Limit(60.0, count(step=45.0).__next__)
        >>> with limit:
        ...     for epoch in range(3):
        ...         with limit.telling():
        ...             print("told of epoch", epoch)
        Traceback (most recent call last):
        choritsu.limits.OverdueError: it took longer than the trial_time_limit of 60 seconds
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._seconds = None if seconds is None or seconds > LONGEST else seconds
        self._clock = clock
        self._begun: float | None = None
        self._thread = 0
        self._telling = False
        #: How alarms were taken before, when the next one was due and how often others, and when that was asked.
        self._before: tuple[Any, float, float, float] | None = None

    def __enter__(self) -> None:
        if self._seconds is None:
            return
        self._begun, self._thread = self._clock(), threading.get_ident()
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
            self._before = (
                signal.getsignal(signal.SIGALRM),
                *signal.getitimer(signal.ITIMER_REAL),
                time.monotonic(),
            )
            signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN)

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Take alarms as before; the end of the block does so too, unless the alarm rings at that very moment."""
        self._begun = None
        before, self._before = self._before, None
        if before is not None:
            taker, due, every, asked = before
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, taker)
            if due:
                signal.setitimer(signal.ITIMER_REAL, max(due - (time.monotonic() - asked), 1e-3), every)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Let what is written down in the block be written to its end, before the trial is ended."""
        if self._begun is None or threading.get_ident() != self._thread:
            yield
            return
        self._telling = True
        try:
            yield
        finally:
            self._telling = False
        if self._seconds is not None and self._clock() - self._begun > self._seconds:
            raise self._error()

    def _ring(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's form
        if self._begun is not None and not self._telling:
            raise self._error()

    def _error(self) -> OverdueError:
        return OverdueError(f"it took longer than the trial_time_limit of {self._seconds:g} seconds")
