"""The contract of an executor as tests: subclass `ExecutorContract`, say how yours is made, run pytest.

::

    from choritsu.testing.executors import ExecutorContract

    class TestMyExecutor(ExecutorContract):
        def make_executor(self, perform):
            return MyExecutor(perform)

For failures that show the values compared, write ``pytest.register_assert_rewrite("choritsu.testing.executors")``
before the import.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from choritsu.decisions import Answer, Continue, Stop
from choritsu.executors import Executor
from choritsu.jobs import Job
from choritsu.space import Int
from choritsu.trials import (
    Event,
    Failed,
    Finished,
    Grew,
    Interrupted,
    Lost,
    Objective,
    Outcome,
    Refused,
    Report,
    Reported,
    Result,
)
from choritsu.work import Emit, Perform

OUTCOMES = (Finished, Failed, Refused, Interrupted, Lost)


class Halt(BaseException):
    """An order to stop the whole search."""


def job(number: int, do: str = "finish", attempt: int = 0, **given: Any) -> Job:
    """Make a job that `behave` performs."""
    return Job(number, attempt, {"do": do, **given}, "draw", 0, Path(f"trial-{number}"), Objective("loss", "min"))


def behave(job: Job, emit: Emit) -> None:
    """Perform a job as its value "do" says; other processes can import this function."""
    try:
        _behave(job, emit)
    except KeyboardInterrupt:
        emit(Interrupted(job.number, job.attempt))
        raise


def _behave(job: Job, emit: Emit) -> None:
    values, epochs = dict(job.given), int(job.given.get("epochs", 3))
    emit(Grew(job.number, (Int("units", 1, 3),)))
    answer: Answer = Continue()
    told = 0
    while told < epochs and isinstance(answer, Continue):
        answer = emit(Reported(job.number, job.attempt, Report(0, told, {"loss": 1.0 / (told + 1)})))
        told += 1
    match job.given["do"]:
        case "finish":
            result = Result(1.0 / told, None, {"loss": 1.0 / told}, told - 1, 0, 1, told)
            emit(Finished(job.number, job.attempt, values, result))
        case "fail":
            emit(Failed(job.number, job.attempt, values, "no memory", "Traceback ..."))
        case "refuse":
            emit(Refused(job.number, job.attempt, values, "no sense"))
        case "interrupt":
            raise KeyboardInterrupt
        case "halt":
            raise Halt("stop everything")


def _go_on(event: Event) -> Answer:  # noqa: ARG001  # whatever happened
    return Continue()


def _break(event: Event) -> Answer:  # noqa: ARG001  # whatever happened
    raise OSError("the disk is full")


def _halt_at_the_third(event: Event) -> Answer:
    if isinstance(event, Reported) and event.report.epoch == 2:
        raise Halt
    return Continue()


class ExecutorContract:
    """What every executor must do. Override `make_executor`; the rest are tests.

    Attributes:
        patience: for how many seconds a job may take to begin and end.
    """

    patience: ClassVar[float] = 60.0

    def make_executor(self, perform: Perform) -> Executor:
        """Give an executor, with as many slots as you like, that runs jobs by `perform`."""
        raise NotImplementedError("override make_executor(self, perform) so that it gives your executor")

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Give the executor under test, its jobs performed by `behave`."""
        with closing(self.make_executor(behave)) as executor:
            yield executor

    def drain(self, executor: Executor, answer: Callable[[Event], Answer] = _go_on) -> dict[int, list[Event]]:
        """Wait until nothing runs; give the events of each job."""
        told: dict[int, list[Event]] = {}

        def handle(event: Event) -> Answer:
            told.setdefault(event.number, []).append(event)
            return answer(event)

        last = time.monotonic() + self.patience
        while executor.running:
            assert time.monotonic() < last, f"trials {sorted(executor.running)} do not end"
            executor.wait(handle, seconds=0.5)
        return told

    # -- slots -------------------------------------------------------------------------------------

    def test_a_new_one_is_free(self, executor: Executor) -> None:
        assert executor.free >= 1
        assert executor.running == frozenset()

    def test_a_job_takes_a_slot_until_it_has_ended(self, executor: Executor) -> None:
        slots = executor.free
        executor.start(job(0))
        assert executor.running == {0}
        assert executor.free == slots - 1
        self.drain(executor)
        assert executor.running == frozenset()
        assert executor.free == slots

    def test_every_slot_works(self, executor: Executor) -> None:
        slots = executor.free
        numbers = range(10, 10 + slots)
        for number in numbers:
            executor.start(job(number))
        assert executor.free == 0
        assert executor.running == frozenset(numbers)
        assert {number: len(events) for number, events in self.drain(executor).items()} == dict.fromkeys(numbers, 5)
        assert executor.free == slots

    def test_a_slot_is_used_again(self, executor: Executor) -> None:
        for number in range(5):
            executor.start(job(number))
            assert list(self.drain(executor)) == [number]

    def test_waiting_for_nothing_tells_nothing(self, executor: Executor) -> None:
        told: list[Event] = []

        def handle(event: Event) -> Answer:
            told.append(event)
            return Continue()

        executor.wait(handle, seconds=0.01)
        assert told == []

    # -- events ------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("do", "outcome"), [("finish", Finished), ("fail", Failed), ("refuse", Refused)])
    def test_the_events_of_a_job_come_in_its_order(self, executor: Executor, do: str, outcome: type[Outcome]) -> None:
        executor.start(job(4, do, attempt=2, epochs=20))
        events = self.drain(executor)[4]
        assert [type(event) for event in events] == [Grew, *[Reported] * 20, outcome]
        assert [event.report.epoch for event in events if isinstance(event, Reported)] == list(range(20))
        assert all(event.number == 4 for event in events)
        assert all(event.attempt == 2 for event in events if not isinstance(event, Grew))

    def test_events_arrive_as_they_were_sent(self, executor: Executor) -> None:
        executor.start(job(0, "fail", attempt=1, loss=0.5, betas=(0.9, None)))
        grew, first, *_, last = self.drain(executor)[0]
        assert grew == Grew(0, (Int("units", 1, 3),))
        assert isinstance(first, Reported)
        assert first.report.metrics == {"loss": 1.0}
        assert isinstance(last, Failed)
        assert last.values == {"do": "fail", "loss": 0.5, "betas": (0.9, None)}
        assert (last.message, last.traceback, last.final) == ("no memory", "Traceback ...", True)

    def test_each_trial_is_given_its_own_answer(self, executor: Executor) -> None:
        numbers = range(executor.free)
        for number in numbers:
            executor.start(job(number, epochs=1000))

        def answer(event: Event) -> Answer:
            stops = isinstance(event, Reported) and event.report.epoch == 2 + event.number
            return Stop("far enough") if stops else Continue()

        told = self.drain(executor, answer)
        for number in numbers:
            assert len([event for event in told[number] if isinstance(event, Reported)]) == 3 + number
            assert isinstance(told[number][-1], Finished)

    # -- trouble -----------------------------------------------------------------------------------

    @pytest.mark.parametrize(("do", "error"), [("halt", Halt), ("interrupt", KeyboardInterrupt)])
    def test_an_order_to_stop_reaches_the_caller(self, executor: Executor, do: str, error: type[BaseException]) -> None:
        executor.start(job(0, do))
        with pytest.raises(error):
            self.drain(executor)
        assert 0 not in executor.running

    def test_an_error_of_the_listener_reaches_the_caller(self, executor: Executor) -> None:
        executor.start(job(0))
        with pytest.raises(OSError, match="the disk is full"):
            self.drain(executor, _break)

    def test_interrupting_ends_every_job(self, executor: Executor) -> None:
        while executor.free:
            executor.start(job(executor.free, epochs=10**9))
        told: dict[int, list[Event]] = {}

        def answer(event: Event) -> Answer:
            told.setdefault(event.number, []).append(event)
            if isinstance(event, Reported) and event.report.epoch == 2:
                executor.interrupt()
            return Continue()

        last = time.monotonic() + self.patience
        while executor.running and time.monotonic() < last:
            # An executor that works in this very thread is itself what is interrupted.
            with suppress(KeyboardInterrupt):
                executor.wait(answer, seconds=0.5)
            if told:
                executor.interrupt()
        assert executor.running == frozenset()
        outcomes = [event for events in told.values() for event in events if isinstance(event, OUTCOMES)]
        assert all(isinstance(event, Interrupted) for event in outcomes)

    # -- the end -----------------------------------------------------------------------------------

    def test_closing_ends_every_job(self, executor: Executor) -> None:
        while executor.free:
            executor.start(job(executor.free, epochs=10**9))
        executor.close()
        assert executor.running == frozenset()

    def test_closing_in_the_middle_of_a_job(self, executor: Executor) -> None:
        executor.start(job(0, epochs=10**9))
        with pytest.raises(Halt):
            self.drain(executor, _halt_at_the_third)
        executor.close()
        assert executor.running == frozenset()

    def test_closing_twice_is_harmless(self, executor: Executor) -> None:
        executor.start(job(0))
        executor.close()
        executor.close()
        assert executor.running == frozenset()
