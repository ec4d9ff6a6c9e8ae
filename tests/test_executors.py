"""Executors: the contract over each, and virtual time."""

import pickle
import threading
from pathlib import Path

import pytest

import choritsu as ct
from choritsu.decisions import Continue, Stop
from choritsu.executors import InlineExecutor, ProcessExecutor, surroundings
from choritsu.oracles import Random
from choritsu.space import Boolean, Condition, Float, Int, Space
from choritsu.testing.executors import ExecutorContract, Halt, behave, job
from choritsu.testing.virtual import VirtualClock, VirtualExecutor, curves, performed, played, run_search
from choritsu.trials import Failed, Finished, Grew, Interrupted, Lost, Refused, Report, Reported, Status


@pytest.fixture(autouse=True)
def _plain_workers(monkeypatch):
    """Keep worker processes from importing the frameworks that other tests have imported here."""
    monkeypatch.setattr(surroundings, "settings", dict)


class TestInlineExecutor(ExecutorContract):
    def make_executor(self, perform):
        return InlineExecutor(perform)


class TestProcessExecutor(ExecutorContract):
    def make_executor(self, perform):
        return ProcessExecutor(perform, 2)


class TestVirtualExecutor(ExecutorContract):
    def make_executor(self, perform):
        return VirtualExecutor(3, performed(perform), VirtualClock())


class TestVirtualExecutorWithOneSlot(ExecutorContract):
    def make_executor(self, perform):
        return VirtualExecutor(1, performed(perform, seconds=3600.0), VirtualClock(at=1e9))


def test_the_contracts_own_jobs_can_travel_to_another_process():
    assert pickle.loads(pickle.dumps(job(3, "fail", epochs=2))) == job(3, "fail", epochs=2)
    assert pickle.loads(pickle.dumps(behave)) is behave


# -- virtual time ----------------------------------------------------------------------------------


def reported(number, epoch=0):
    return Reported(number, 0, Report(0, epoch, {"loss": 1.0}))


def heard(executor, clock, answer=Continue(), seconds=1e9):  # noqa: B008
    """Run everything; give each event's kind, number and time."""
    told = []

    def handle(event):
        told.append((type(event).__name__, event.number, clock.now()))
        return answer

    while executor.running:
        executor.wait(handle, seconds)
    return told


class TestVirtualTime:
    def test_events_come_in_the_order_of_their_time(self):
        clock = VirtualClock()
        plans = {0: [5.0, 5.0], 1: [2.0, 2.0, 2.0], 2: [7.0]}

        def simulate(job):
            return [(seconds, reported(job.number, epoch)) for epoch, seconds in enumerate(plans[job.number])]

        executor = VirtualExecutor(3, simulate, clock)
        for number in plans:
            executor.start(job(number))
        assert [entry for entry in heard(executor, clock) if entry[0] == "Reported"] == [
            ("Reported", 1, 2.0),
            ("Reported", 1, 4.0),
            ("Reported", 0, 5.0),
            ("Reported", 1, 6.0),
            ("Reported", 2, 7.0),
            ("Reported", 0, 10.0),
        ]

    def test_equal_times_keep_the_order_of_announcement(self):
        clock = VirtualClock()
        executor = VirtualExecutor(9, curves(lambda values, epoch: 1.0, seconds=5.0), clock)
        for number in (3, 1, 2):
            executor.start(job(number))
        assert [number for kind, number, _ in heard(executor, clock) if kind == "Finished"] == [3, 1, 2]

    def test_one_wait_one_event_and_no_longer_than_asked(self):
        clock = VirtualClock()
        executor = VirtualExecutor(2, curves(lambda values, epoch: 1.0, epochs=2, seconds=100.0), clock)
        executor.start(job(0))
        told = []

        def handle(event):
            told.append(event)
            return Continue()

        executor.wait(handle, seconds=30.0)
        assert (told, clock.now()) == ([], 30.0)
        executor.wait(handle, seconds=70.0)
        assert (len(told), clock.now()) == (1, 100.0)
        executor.wait(handle, seconds=1e9)
        assert (len(told), clock.now()) == (2, 200.0)
        assert executor.running == {0}
        executor.wait(handle, seconds=1e9)
        assert (type(told[-1]), clock.now(), executor.running) == (Finished, 200.0, frozenset())
        executor.wait(handle, seconds=1e9)
        assert clock.now() == 200.0

    def test_events_bear_the_virtual_time(self):
        clock = VirtualClock(at=50.0)
        executor = VirtualExecutor(1, curves(lambda values, epoch: 1.0, seconds=100.0), clock)
        executor.start(job(0))
        times = []

        def handle(event):
            times.append(event.report.at if isinstance(event, Reported) else event.at)
            return Continue()

        while executor.running:
            executor.wait(handle, 1e9)
        assert times == [150.0, 150.0]

    def test_a_simulation_without_an_outcome_has_died(self):
        clock = VirtualClock()
        executor = VirtualExecutor(2, lambda job: [(9.0, reported(job.number))] * job.number, clock)
        executor.start(job(0))
        executor.start(job(1))
        assert heard(executor, clock) == [("Lost", 0, 0.0), ("Reported", 1, 9.0), ("Lost", 1, 9.0)]

    @pytest.mark.parametrize("outcome", [Failed(0, 0, {}, "no"), Refused(0, 0, {}), Interrupted(0, 0), Lost(0, 0)])
    def test_nothing_follows_an_outcome(self, outcome):
        clock = VirtualClock()
        executor = VirtualExecutor(1, lambda job: [(1.0, outcome), (1.0, reported(0))], clock)
        executor.start(job(0))
        assert heard(executor, clock) == [(type(outcome).__name__, 0, 1.0)]

    def test_an_exception_comes_when_its_time_has_come(self):
        clock = VirtualClock()
        executor = VirtualExecutor(2, lambda job: [(50.0 * job.number, Halt())], clock)
        executor.start(job(2))
        executor.start(job(1))
        with pytest.raises(Halt):
            heard(executor, clock)
        assert clock.now() == 50.0
        assert executor.running == {2}

    def test_an_exception_of_the_simulation_itself(self):
        def simulate(job):
            yield 1.0, reported(0)
            raise ZeroDivisionError

        clock = VirtualClock()
        executor = VirtualExecutor(1, simulate, clock)
        executor.start(job(0))
        with pytest.raises(ZeroDivisionError):
            heard(executor, clock)
        assert executor.running == frozenset()

    def test_a_generator_is_sent_the_answers(self):
        got = []

        def simulate(job):
            got.append((yield 1.0, Grew(0, ())))
            got.append((yield 1.0, reported(0)))

        clock = VirtualClock()
        executor = VirtualExecutor(1, simulate, clock)
        executor.start(job(0))
        heard(executor, clock, answer=Stop("enough"))
        assert got == [Stop("enough")] * 2

    def test_slots(self):
        with pytest.raises(ValueError, match="at least 1, got 0"):
            VirtualExecutor(0, curves(lambda values, epoch: 1.0), VirtualClock())

    def test_no_thread_is_left(self):
        before = threading.active_count()
        with pytest.raises(Halt):
            run_search(Random(), Space(), played(halting), slots=5)
        run_search(Random(), Space(), played(lambda hp: hp.Float("x", 0, 1)), slots=5, max_trials=20)
        assert threading.active_count() == before

    def test_the_clock_never_goes_back(self):
        clock = VirtualClock(at=5.0)
        clock.advance(3.0)
        assert clock.now() == 5.0
        clock.advance(7.0)
        assert clock.now() == 7.0


def halting(hp, trial):
    hp.Float("x", 0, 1)
    if trial.number == 7:
        raise Halt
    return 1.0


class TestSimulations:
    def test_a_curve_ends_when_it_is_told_to(self):
        clock = VirtualClock()
        executor = VirtualExecutor(1, curves(lambda values, epoch: 1.0, epochs=50), clock)
        executor.start(job(0))
        assert [kind for kind, _, _ in heard(executor, clock, answer=Stop())] == ["Reported", "Finished"]

    @pytest.mark.parametrize(
        ("error", "status", "message"),
        [
            (ct.RedrawTrialError("no sense"), Status.REFUSED, "no sense"),
            (ValueError("no such layer"), Status.FAILED, "ValueError: no such layer"),
        ],
    )
    def test_a_curve_may_refuse_and_fail(self, error, status, message):
        def curve(values, epoch):
            if values["x"] == 2:
                raise error
            return {"loss": 1.0, "accuracy": epoch}

        history = run_search(Random(), Space((Int("x", 1, 3),)), curves(curve, epochs=3))
        assert [(trial.status, trial.message) for trial in history if trial.values == {"x": 2}] == [(status, message)]
        assert {trial.result.metrics["accuracy"] for trial in history.completed} == {0.0}

    def test_a_curve_may_diverge(self):
        history = run_search(Random(), Space((Int("x", 1, 3),)), curves(lambda values, epoch: float("nan")))
        assert {trial.message for trial in history} == {"loss was nan and at no epoch finite: the training diverged"}

    def test_a_curve_gets_what_is_active(self):
        space = Space((Boolean("deep"), Int("layers", 1, 2, conditions=(Condition("deep", (True,)),))))
        seen = []

        def curve(values, epoch):
            seen.append(dict(values))
            return 1.0

        run_search(Random(), space, curves(curve))
        assert sorted(seen, key=str) == [
            {"deep": False},
            {"deep": True, "layers": 1},
            {"deep": True, "layers": 2},
        ]

    def test_epochs_may_last_differently(self):
        history = run_search(
            Random(),
            Space((Float("x", 0, 1),)),
            curves(lambda values, epoch: 1.0, epochs=2, seconds=lambda job: 10.0 * (1 + job.number)),
            slots=3,
            max_trials=3,
        )
        assert [trial.seconds for trial in history] == [20.0, 40.0, 60.0]

    def test_a_real_function_is_played_as_it_is(self):
        def function(hp, trial):
            x = hp.Float("x", 0, 1)
            for epoch in range(3):
                trial.report(loss=x + epoch)

        history = run_search(Random(), Space(), played(function, seconds=60.0), slots=4, max_trials=9)
        assert len(history.completed) == 9
        assert all(trial.seconds == 180.0 and trial.score == trial.values["x"] for trial in history)

    def test_a_simulation_leaves_no_files(self):
        def function(hp, trial):
            hp.Float("x", 0, 1)
            return len(str(trial.directory))

        history = run_search(Random(), Space(), played(function), max_trials=1)
        assert history[0].status is Status.FAILED
        assert Path("trials").exists() is False
