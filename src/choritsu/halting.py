"""Leaving a search before its end with nothing lost: by Ctrl-C, by the clock, or because a budget is used up."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: How long a trial is given to end its epoch once the time is up, in seconds.
GRACE = 3.0


class Halt:
    """The wish to leave: first after the epochs that are being trained, then at once.

    Args:
        said: is told when a person asks for it, to say so on the screen.
    """

    def __init__(self, said: Callable[[str], None] = lambda text: None) -> None:  # noqa: ARG005
        self.reason: str | None = None
        self.by_hand = False
        self.terminated = False
        self._said = said
        self._process = os.getpid()

    def ask(self, reason: str) -> None:
        """Ask to leave after this epoch; the first reason counts."""
        self.reason = self.reason or reason

    def press(self, signum: int, frame: FrameType | None) -> None:
        """Take a Ctrl-C: the first leaves after this epoch, the second at once.

        Raises:
            KeyboardInterrupt: the second time; and in a child of this process that has inherited this, as ever.
        """
        if os.getpid() != self._process:
            raise KeyboardInterrupt
        self.break_off(signum, frame)
        self.by_hand = True
        self.ask("stopped by Ctrl-C")
        self._said(
            "Stopping after this epoch, or after this trial if it counts none; press Ctrl-C again to stop at once: the "
            "trial then goes on, when the script is run again, from where it was last saved."
        )

    def terminate(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's form
        """Take a SIGTERM, by which batch systems take a machine back: there may not be time for the epoch.

        Raises:
            KeyboardInterrupt: at once; not in a child of this process that has inherited this, which ends as ever.
        """
        if os.getpid() != self._process:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        self.terminated = True
        self.ask("stopped by SIGTERM")
        raise KeyboardInterrupt

    def break_off(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's form
        """Take the clock's interrupt where Ctrl-C is ignored, as in a job that a shell runs in the background.

        Raises:
            KeyboardInterrupt: once the time is up.
        """
        if self.reason is not None and os.getpid() == self._process:
            raise KeyboardInterrupt


def wake() -> None:
    """Have the main thread take a Ctrl-C, also while it sleeps in the operating system."""
    main = threading.main_thread().ident
    # A signal that Python does not handle would end the process.
    if sys.platform == "win32" or main is None or not callable(signal.getsignal(signal.SIGINT)):
        _thread.interrupt_main()
    else:
        signal.pthread_kill(main, signal.SIGINT)


@contextmanager
def leaving(halt: Halt, seconds: float | None, interrupt: Callable[[], None]) -> Iterator[None]:
    """Listen to Ctrl-C, and to the clock, while the block runs.

    Args:
        halt: is asked.
        seconds: after how long the search is to leave; None for no limit.
        interrupt: breaks off what is running, should it not have left `GRACE` seconds after that.
    """
    timers = []
    if seconds is not None and seconds < threading.TIMEOUT_MAX:
        timers.append(threading.Timer(seconds, halt.ask, [f"time_limit={seconds:g} seconds are over"]))
        timers.append(threading.Timer(seconds + GRACE, interrupt))
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        with _pressed(halt):
            yield
    finally:
        for timer in timers:
            timer.cancel()


@contextmanager
def _pressed(halt: Halt) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM asked of `halt`; only a program's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Where somebody else listens already, it is left to them.
    takers: list[tuple[signal.Signals, Any, Callable[[int, FrameType | None], None]]] = [
        (signal.SIGINT, signal.default_int_handler, halt.press),
        (signal.SIGINT, signal.SIG_IGN, halt.break_off),
        (signal.SIGTERM, signal.SIG_DFL, halt.terminate),
    ]
    replaced = [(which, before, taker) for which, before, taker in takers if signal.getsignal(which) is before]
    for which, _, taker in replaced:
        signal.signal(which, taker)
    try:
        yield
    finally:
        for which, before, _ in replaced:
            signal.signal(which, before)
        if halt.terminated:
            # Everything is kept, and whoever has sent it waits for the end of this process.
            signal.raise_signal(signal.SIGTERM)
