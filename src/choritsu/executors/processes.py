"""Several trials at once, each in a process of its own on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from choritsu.decisions import Continue
from choritsu.executors import surroundings
from choritsu.executors.base import Handle
from choritsu.executors.inheriting import end, how_it_ended, start
from choritsu.executors.messages import (
    Answered,
    Break,
    Ended,
    Leave,
    Noted,
    Told,
    ToWorker,
    Welcome,
    as_bytes,
    packed,
    raised_by,
    unpacked,
)
from choritsu.executors.parcel import Parcel
from choritsu.executors.places import Place, own_cores, places, visible_gpus
from choritsu.jobs import Job
from choritsu.space import Parameter
from choritsu.trials import Failed, Finished, Interrupted, Lost, Outcome, Refused
from choritsu.work import Perform

#: How long a trial that is broken off, or a worker that is to leave, may take before it is killed, in seconds.
GRACE = 5.0


@dataclass(eq=False)
class _Attempt:
    """A job that runs: what was noted, whether its outcome was told, until when it has to leave, and what it raised."""

    job: Job
    noted: list[tuple[Parameter, Any]] = field(default_factory=list)
    concluded: bool = False
    deadline: float | None = None
    raised: Exception | None = None


class _Worker:
    """A worker process, as the search sees it."""

    def __init__(self, place: Place, parcel: Parcel) -> None:
        self.place = place
        self.attempt: _Attempt | None = None
        self._sending = threading.Lock()
        self._first_memory = 0
        environ = {**os.environ, **place.variables(os.environ), **surroundings.variables()}
        changed = {"PYTHONPATH": os.environ.get("PYTHONPATH")}
        # Only to find this package; where the user's modules are looked for is told in the welcome.
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_root(), changed["PYTHONPATH"]]))
        self.connection: Connection
        self.connection, theirs = Pipe()
        try:
            self.process: subprocess.Popen[bytes] = start("choritsu.executors.worker", theirs, parcel.fileno(), environ)
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()
        self.send(Welcome(tuple(sys.path), tuple(sys.argv), changed, place.cores, surroundings.settings()))

    def send(self, message: ToWorker) -> bool:
        """Say something; False where nobody listens any more. Any thread may call it."""
        data = packed(message)
        try:
            with self._sending:
                self.connection.send_bytes(data)
        except OSError:
            return False
        return True

    def take(self, job: Job) -> bool:
        """Give it a job, which it takes if it is alive."""
        if self.send(job):
            self.attempt = _Attempt(job)
            return True
        return False

    def interrupt(self) -> None:
        """Break off what it runs, if anything. Any thread may call it."""
        attempt = self.attempt
        if attempt is not None:
            attempt.deadline = attempt.deadline or time.monotonic() + GRACE
            self.send(Break(attempt.job.number, attempt.job.attempt))

    def has_swollen(self, memory: int, most: int) -> bool:
        """Tell whether it holds more than double, and by more than `most` bytes, what it held after its first job."""
        self._first_memory = self._first_memory or memory
        return memory > max(2 * self._first_memory, self._first_memory + most)

    def leave(self, deadline: float) -> None:
        """Wait until it has left, having been told to; kill it at the deadline."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self.end()

    def end(self) -> int:
        """End it on the spot, if it has not ended yet; give its exit code."""
        code = end(self.process)
        self.connection.close()
        return code


class ProcessExecutor:
    """Runs each job in one of several worker processes, which start when they are first needed and stay.

    The function may be a closure, a lambda, or of the script itself: the script need no
    ``if __name__ == "__main__"`` and is not run again. NumPy arrays that it holds are kept once for all workers.
    A worker that dies costs the attempt that it ran. When this process dies, however it dies, its workers end.

    Args:
        perform: runs one job, emitting its events; pickled here and now, and once.
        workers: how many processes.
        threads: how many cores each may use; by default the machine's are divided evenly, none in common.
            Environment variables that the user has set, such as OMP_NUM_THREADS, stay.
        gpus_per_trial: 2 for two GPUs each, 0.5 for two workers on one, 0 for none; by default the visible ones are
            dealt out evenly.
        renew: a worker whose memory has more than doubled since its first job, and has grown by more than this many
            bytes, is replaced; None for never.

    Raises:
        ValueError: when that many workers cannot be, or there are not enough GPUs.
        TypeError: when `perform`, or the data that it holds, cannot be pickled.
    """

    def __init__(
        self,
        perform: Perform,
        workers: int,
        *,
        threads: int | None = None,
        gpus_per_trial: float | None = None,
        renew: int | None = 2**30,
    ) -> None:
        gpus = visible_gpus(os.environ)
        self._places = places(workers, own_cores(), gpus, threads=threads, gpus_per_trial=gpus_per_trial)
        self._renew = renew
        self._parcel = Parcel(perform)
        self._workers: list[_Worker] = []

    @property
    def isolates(self) -> bool:
        return True

    @property
    def free(self) -> int:
        # By worker: one that has told its trial's outcome may still be busy when another goes on with the same trial.
        return len(self._places) - sum(worker.attempt is not None for worker in self._workers)

    @property
    def running(self) -> frozenset[int]:
        attempts = [worker.attempt for worker in self._workers]
        return frozenset(attempt.job.number for attempt in attempts if attempt is not None)

    def start(self, job: Job) -> None:
        for worker in [worker for worker in self._workers if worker.attempt is None]:
            if worker.take(job):
                return
            self._discard(worker)
        taken = {id(worker.place) for worker in self._workers}
        place = next(place for place in self._places if id(place) not in taken)
        worker = _Worker(place, self._parcel)
        self._workers.append(worker)
        # Should it be dead already, that is seen in `wait`.
        worker.send(job)
        worker.attempt = _Attempt(job)

    def wait(self, handle: Handle, seconds: float) -> None:
        limit = time.monotonic() + seconds
        happened = False
        while self.running and not happened:
            deadlines = [worker.attempt.deadline for worker in self._workers if worker.attempt is not None]
            until = min([limit, *(deadline for deadline in deadlines if deadline is not None)])
            connections = {worker.connection: worker for worker in self._workers}
            ready = wait(list(connections), max(0.0, until - time.monotonic()))
            for connection, worker in connections.items():
                if connection in ready:
                    happened |= self._hear(worker, handle)
                elif worker.process.poll() is not None or self._is_overdue(worker):
                    happened |= self._bury(worker, handle)
            if time.monotonic() >= limit:
                return

    def interrupt(self) -> None:
        for worker in list(self._workers):
            worker.interrupt()

    def close(self) -> None:
        deadline = time.monotonic() + GRACE
        idle = [worker for worker in self._workers if worker.attempt is None]
        for worker in idle:
            worker.send(Leave())
        for worker in self._workers:
            if worker.attempt is not None:
                worker.end()
        for worker in idle:
            worker.leave(deadline)
        self._workers.clear()
        self._parcel.close()

    # -- what the workers say ----------------------------------------------------------------------

    def _hear(self, worker: _Worker, handle: Handle) -> bool:
        """Take in one message; tell whether anything has happened to a job."""
        try:
            data = worker.connection.recv_bytes()
        except (EOFError, OSError):
            return self._bury(worker, handle)
        try:
            message = unpacked(data)
            if isinstance(message, Noted):
                if worker.attempt is not None:
                    worker.attempt.noted.append((message.parameter, message.value))
                worker.send(Answered(message.call, Continue()))
                return False
            if isinstance(message, Told):
                worker.send(_answered(message, worker.attempt, handle))
                return True
        except BaseException:
            # Its trial would wait for an answer for ever.
            self._discard(worker)
            raise
        self._free(worker, message, handle)
        return True

    def _free(self, worker: _Worker, ended: Ended, handle: Handle) -> None:
        """Take the job from a worker that has done with it, and pass on what it raised."""
        attempt, worker.attempt = worker.attempt, None
        if self._renew is not None and worker.has_swollen(ended.memory, self._renew):
            worker.send(Leave())
            worker.leave(time.monotonic() + GRACE)
            self._workers.remove(worker)
        if attempt is None:
            return
        error = raised_by(ended)
        broken_off = attempt.deadline is not None and isinstance(error, KeyboardInterrupt)
        if not attempt.concluded and (error is None or broken_off):
            handle(_unfinished(attempt, "it ended without an outcome"))
        if error is None or broken_off:
            return
        if ended.handed_back and attempt.raised is not None:
            raise attempt.raised
        error.add_note(f"It was raised in a worker process:\n{ended.trace}")
        raise error

    def _bury(self, worker: _Worker, handle: Handle) -> bool:
        """Take the job from a worker that is dead, or is to be; tell whether there was one."""
        how = self._discard(worker)
        attempt = worker.attempt
        if attempt is None:
            return False
        if not attempt.concluded:
            handle(_unfinished(attempt, f"it was {how}" if how.startswith("killed") else f"it {how}"))
        return True

    def _discard(self, worker: _Worker) -> str:
        self._workers.remove(worker)
        return how_it_ended(worker.end())

    def _is_overdue(self, worker: _Worker) -> bool:
        deadline = None if worker.attempt is None else worker.attempt.deadline
        return deadline is not None and time.monotonic() >= deadline


def _answered(told: Told, attempt: _Attempt | None, handle: Handle) -> Answered:
    """Hand an event on, and its answer back; an error goes where the event came from, as it does inline."""
    if attempt is not None and isinstance(told.event, Finished | Failed | Refused | Interrupted | Lost):
        attempt.concluded = True
    try:
        return Answered(told.call, handle(told.event))
    except Exception as error:  # noqa: BLE001  # the trial may have something to say to it
        if attempt is not None:
            attempt.raised = error
        return Answered(told.call, None, as_bytes(error))


def _unfinished(attempt: _Attempt, how: str) -> Outcome:
    """Make the outcome of an attempt that told none."""
    job, now = attempt.job, time.time()
    if attempt.deadline is not None:
        return Interrupted(job.number, job.attempt, at=now)
    return Lost(job.number, job.attempt, at=now, message=how, found=tuple(attempt.noted))


def _root() -> str:
    """Give the directory that this package is imported from."""
    return str(Path(__file__).parents[2])
