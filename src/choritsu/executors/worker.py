"""A process that runs trials for a search, one after another: ``python -m choritsu.executors.worker``.

Three threads share the work. The main thread runs the trials, since much of what users call works only there. One
reads what the search says: should the search be gone, that thread ends the process on the spot, whatever the main one
is doing. One writes, so that nothing that breaks a trial off can tear a message in two.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn

from choritsu.decisions import Answer
from choritsu.executors import surroundings
from choritsu.executors.inheriting import received
from choritsu.executors.messages import (
    Answered,
    Break,
    Ended,
    FromWorker,
    Leave,
    Noted,
    Told,
    Welcome,
    as_bytes,
    packed,
    unpacked,
)
from choritsu.executors.parcel import opened
from choritsu.frameworks.memory import tidied
from choritsu.halting import wake
from choritsu.jobs import Job
from choritsu.space import Parameter
from choritsu.trials import Event
from choritsu.work import Perform, trace_of


class Worker:
    """One worker process, from its first word to its last.

    Args:
        connection: to the search.
        parcel: the descriptor of the file that holds what performs a job.
        settings: what the script has set in its frameworks.
    """

    def __init__(self, connection: Connection, parcel: int, settings: Mapping[str, Mapping[str, Any]]) -> None:
        self._connection = connection
        self._parcel = parcel
        self._settings = settings
        self._perform: Perform | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outbox: SimpleQueue[bytes] = SimpleQueue()
        self._calls = itertools.count()
        self._answers: dict[int, SimpleQueue[Answered]] = {}
        self._handed_back: BaseException | None = None
        self._current: tuple[int, int] | None = None
        self._broken: tuple[int, int] | None = None

    def run(self) -> None:
        """Perform jobs until there are no more."""
        signal.signal(signal.SIGINT, self._break_off)
        for target in (self._listen, self._speak):
            threading.Thread(target=target, name=f"choritsu{target.__name__}", daemon=True).start()
        with tidied() as tidy:
            while (job := self._jobs.get()) is not None:
                error = self._run(job)
                raised = None if error is None else as_bytes(error)
                trace = "" if error is None else trace_of(error)
                handed_back = error is not None and error is self._handed_back
                # Its frames hold the trial's model.
                error = self._handed_back = None
                tidy()
                for stream in _streams():
                    with suppress(OSError):
                        stream.flush()
                self._say(Ended(raised, trace, handed_back, memory()))

    def _run(self, job: Job) -> BaseException | None:
        try:
            if self._perform is None:
                # First, since they may decide what the data become.
                surroundings.apply(self._settings)
                self._perform = opened(self._parcel)()
                os.close(self._parcel)
            self._current = (job.number, job.attempt)
            try:
                if self._broken == self._current:
                    raise KeyboardInterrupt
                self._perform(replace(job, apart=True), self)
            finally:
                self._current = None
        except SystemExit:
            # The trial has told of it; the search shall not end with it.
            return None
        except BaseException as error:  # noqa: BLE001  # all of it is the search's to judge
            return error
        return None

    def __call__(self, event: Event) -> Answer:
        """Tell an event, and give the answer."""
        call = next(self._calls)
        answered = self._answered(call, Told(call, event))
        if answered.answer is None:
            self._handed_back = unpacked(answered.error or b"")
            raise self._handed_back
        return answered.answer

    def note(self, parameter: Parameter, value: Any) -> None:
        """Have a value noted, also should this process die in the next moment."""
        call = next(self._calls)
        self._answered(call, Noted(call, parameter, value))

    def _answered(self, call: int, message: Told | Noted) -> Answered:
        box = self._answers[call] = SimpleQueue()
        try:
            self._say(message)
            return box.get()
        finally:
            del self._answers[call]

    def _say(self, message: FromWorker) -> None:
        self._outbox.put(packed(message))

    # -- threads -----------------------------------------------------------------------------------

    def _speak(self) -> None:
        try:
            while True:
                self._connection.send_bytes(self._outbox.get())
        except OSError:
            _vanish()

    def _listen(self) -> None:
        try:
            while True:
                match unpacked(self._connection.recv_bytes()):
                    case Answered() as answered:
                        box = self._answers.get(answered.call)
                        # None where the trial was broken off while it waited.
                        if box is not None:
                            box.put(answered)
                    case Break() | Leave() if self._perform is None:
                        # Nothing has begun but imports, which do not let themselves be interrupted.
                        _vanish()
                    case Break(number, attempt):
                        self._broken = (number, attempt)
                        wake()
                    case Leave():
                        self._jobs.put(None)
                    case job:
                        self._jobs.put(job)
        except (OSError, EOFError):
            _vanish()

    def _break_off(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's form
        """Break the trial off where the search has asked for it; between trials there is nothing to break off."""
        if self._current is not None and self._current == self._broken:
            self._current = None
            raise KeyboardInterrupt


def _vanish() -> NoReturn:
    """End this process and those that it has started: whom they work for is gone."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def memory() -> int:
    """Give how many bytes this process holds for itself, what it maps from files aside; 0 where nobody can tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except OSError:
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def settle(welcome: Welcome) -> None:
    """Make this process as much as possible like the one that started it."""
    sys.path[:] = welcome.path
    sys.argv[:] = welcome.arguments
    for name, value in welcome.variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if welcome.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, welcome.cores)
    for stream in _streams():
        # Lines of several workers do not mix, and a worker that dies has said what it had to say.
        stream.reconfigure(line_buffering=True)


def _streams() -> list[TextIOWrapper]:
    """Give the standard streams that are open."""
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]


def main(arguments: list[str]) -> None:
    """Run a worker.

    Args:
        arguments: the handles of the connection and of the parcel.
    """
    connection, parcel = received(arguments)
    if hasattr(os, "register_at_fork"):
        # The search sees by the connection's end that a worker has died; its children must not keep it open.
        os.register_at_fork(after_in_child=connection.close)
    try:
        welcome: Any = unpacked(connection.recv_bytes())
    except (OSError, EOFError):
        _vanish()
    settle(welcome)
    Worker(connection, parcel, welcome.settings).run()


if __name__ == "__main__":
    main(sys.argv[1:])
