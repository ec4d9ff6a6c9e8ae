"""One trial after another, here and now."""

from __future__ import annotations

import threading
from collections import deque

from choritsu.executors.base import Handle
from choritsu.halting import wake
from choritsu.jobs import Job
from choritsu.work import Perform


class InlineExecutor:
    """Runs each job to its end inside `wait`, in the calling thread.

    Args:
        perform: runs one job, emitting its events.
    """

    def __init__(self, perform: Perform) -> None:
        self._perform = perform
        self._thread = threading.current_thread()
        self._jobs: deque[Job] = deque()

    @property
    def isolates(self) -> bool:
        return False

    @property
    def free(self) -> int:
        return 0 if self._jobs else 1

    @property
    def running(self) -> frozenset[int]:
        return frozenset(job.number for job in self._jobs)

    def start(self, job: Job) -> None:
        self._jobs.append(job)

    def wait(self, handle: Handle, seconds: float) -> None:  # noqa: ARG002  # the work itself takes the time
        if self._jobs:
            self._thread = threading.current_thread()
            try:
                self._perform(self._jobs[0], handle)
            finally:
                self._jobs.popleft()

    def interrupt(self) -> None:
        """Raise a KeyboardInterrupt in the main thread, as Ctrl-C does; no other thread can be broken off."""
        if self._jobs and self._thread is threading.main_thread():
            wake()

    def close(self) -> None:
        self._jobs.clear()
