"""The contract of an executor: who runs the trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from choritsu.decisions import Answer
from choritsu.jobs import Job
from choritsu.trials import Event

#: Takes an event the moment it happens, and answers whether its trial may go on.
Handle: TypeAlias = Callable[[Event], Answer]


class Executor(Protocol):
    """Runs jobs and hands on their events, in the order in which each job emits them.

    An executor decides nothing and keeps nothing: it starts what it is given, and `wait` calls back.
    """

    @property
    def isolates(self) -> bool:
        """Whether this process outlives a trial that kills the one it runs in."""
        ...

    @property
    def free(self) -> int:
        """How many jobs can be started right now."""
        ...

    @property
    def running(self) -> frozenset[int]:
        """The numbers of the trials started and not ended."""
        ...

    def start(self, job: Job) -> None:
        """Take a job in; it may begin at once or with the next `wait`."""
        ...

    def wait(self, handle: Handle, seconds: float) -> None:
        """Run or await the jobs until an event has come or `seconds` have passed.

        Args:
            handle: called with each event, in this thread; its answer is passed on to the trial.
            seconds: how long to wait for the first event. An executor that does the work itself, in this
                very call, returns when a job has ended.

        Raises:
            BaseException: what a job raised to stop the whole search.
        """
        ...

    def interrupt(self) -> None:
        """Break off every running job, now; each ends with `Interrupted`. Any thread may call it."""
        ...

    def close(self) -> None:
        """End every job and let go of what they use; closing twice is harmless."""
        ...
