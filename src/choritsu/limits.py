"""A trial that takes too long fails: in the middle of whatever it does, where the operating system can say so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

from choritsu.errors import FailedTrialError


class Limit:
    """Ends what runs in its block after some seconds, by an error.

    In a program's main thread that error comes at once, but out of native code that does not return. In other threads,
    and on Windows, it comes when the trial tells of something.

    Args:
        seconds: how long the block may take; None for as long as it likes.
        clock: the time in seconds, from any beginning.

    Raises:
        FailedTrialError: in the block, once the time is up.

    Example:
        >>> from itertools import count
        >>> limit = Limit(60.0, count(step=45.0).__next__)
        >>> with limit:
        ...     for epoch in range(3):
        ...         with limit.telling():
        ...             print("told of epoch", epoch)
        Traceback (most recent call last):
        choritsu.errors.FailedTrialError: it took longer than the trial_time_limit of 60 seconds
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._begun: float | None = None
        self._telling = False
        self._block: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> None:
        if self._seconds is not None:
            self._begun = self._clock()
            self._block = self._ringing(self._seconds)
        self._block.__enter__()

    def __exit__(self, *error: object) -> None:
        self._begun = None
        self._block.__exit__(None, None, None)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Let what is written down in the block be written to its end, before the trial is ended."""
        self._telling = True
        try:
            yield
        finally:
            self._telling = False
        if self._seconds is not None and self._begun is not None and self._clock() - self._begun > self._seconds:
            raise self._error()

    @contextmanager
    def _ringing(self, seconds: float) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            yield
            return
        before = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _ring(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's form
        if not self._telling:
            raise self._error()

    def _error(self) -> FailedTrialError:
        return FailedTrialError(f"it took longer than the trial_time_limit of {self._seconds:g} seconds")
