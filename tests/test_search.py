"""The search: what is started and when, what is kept, and that nothing is lost, whatever happens."""

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import choritsu as ct
from choritsu.decisions import Done, Pause, Start, Wait
from choritsu.errors import RedefinedError, TooManyFailuresError
from choritsu.executors import InlineExecutor
from choritsu.oracles import Grid, QuasiRandom, Random
from choritsu.running import as_number
from choritsu.search import LOSSES, REFUSALS, Enqueued, Plan, Resume, Search, next_step
from choritsu.space import Boolean, Choice, Condition, Float, Int, Space
from choritsu.stores import Identity, MemoryStore, open_store
from choritsu.testing.faults import Fault, FaultyStore
from choritsu.testing.oracles import hardship
from choritsu.testing.virtual import VirtualClock, VirtualExecutor, curves, played
from choritsu.trials import (
    Claimed,
    Failed,
    Finished,
    Grew,
    History,
    Interrupted,
    Lost,
    Objective,
    Refused,
    Report,
    Reported,
    Status,
)
from choritsu.work import perform
from choritsu.workers import is_apart

from .strategies import parameters, same, spaces

LOSS = Objective("loss", "min")
X = Space((Float("x", 0, 1),))


class Killed(BaseException):
    """The process is gone; nothing may catch this."""


def store_of(space=X, seed=0):
    store = MemoryStore()
    store.identify(Identity(LOSS, seed))
    if len(space):
        store.record(Grew(-1, space.parameters))
    return store


class Run:
    """A search in virtual time, and what was heard of it."""

    def __init__(self, store, simulate, *, oracle=None, slots=1, clock=None, **plan):
        self.events = []
        self.clock = clock or VirtualClock()
        self.idle = 0
        plan = Plan(oracle or Random(), LOSS, 0, Path(os.devnull), **plan)
        self.executor = VirtualExecutor(slots, simulate, self.clock)

        def waits(history):
            self.idle += 1

        self.search = Search(
            plan,
            store,
            self.executor,
            watch=lambda event, history: self.events.append(event),
            idle=waits,
            clock=self.clock,
            heartbeat=False,
        )

    def __call__(self):
        self.done = self.search.run()
        return self

    @property
    def claims(self):
        return [(event.number, event.attempt) for event in self.events if isinstance(event, Claimed)]


def run(store, simulate, **arguments):
    return Run(store, simulate, **arguments)()


def flat(values, epoch):
    return values.get("x", 1.0)


def statuses(store):
    return [trial.status.value for trial in store.history()]


def suggested(store):
    return [same(trial.suggested) for trial in store.history()]


def outcome(store):
    """Give everything of a search that must not depend on what happened to its processes."""
    return [
        (trial.number, same(trial.suggested), same(trial.values), trial.status, trial.score, trial.message)
        for trial in store.history()
    ]


# -- what comes next -------------------------------------------------------------------------------


class TestNextStep:
    def history(self, *statuses, space=X):
        history = History(space, LOSS)
        for number, status in enumerate(statuses):
            history = history.after(Claimed(number, 0, {"x": number / 100}))
            outcomes = {
                "completed": Finished(number, 0, {"x": number / 100}, None),
                "failed": Failed(number, 0, {"x": number / 100}, "no"),
                "refused": Refused(number, 0, {"x": number / 100}),
                "interrupted": Interrupted(number, 0),
                "lost": Lost(number, 0),
            }
            if status in outcomes:
                history = history.after(outcomes[status])
        return history

    def step(self, history, **plan):
        return next_step(history, Plan(plan.pop("oracle", Random()), LOSS, 0, Path(), **plan))

    def test_what_was_interrupted_comes_first(self):
        history = self.history("completed", "lost", "running", "interrupted")
        assert self.step(history, max_trials=1, enqueued=({"x": 0.5},)) == Resume(history[1])

    def test_then_what_was_enqueued_then_what_the_oracle_says(self):
        history = self.history("completed")
        assert self.step(history, enqueued=({"x": 0.5},)) == Enqueued({"x": 0.5})
        history = history.after(Claimed(1, 0, {"x": 0.5}, enqueued=True))
        assert isinstance(self.step(history, enqueued=({"x": 0.5},)), Start)

    @pytest.mark.parametrize(
        ("made", "limit", "over"),
        [
            (["completed", "failed", "running"], 3, True),
            (["completed", "failed", "running"], 4, False),
            (["completed", "refused", "refused"], 2, False),
            (["completed", "refused", "refused"], 1, True),
            ([], 0, True),
            (["completed"] * 50, None, False),
        ],
    )
    def test_max_trials_counts_all_but_the_refused(self, made, limit, over):
        step = self.step(self.history(*made), max_trials=limit)
        assert isinstance(step, Done if over else Start)
        if over:
            assert f"max_trials={limit}" in step.reason

    def test_waiting_for_nobody_is_the_end(self):
        assert self.step(self.history("running"), oracle=OneAtATime()) == Wait()
        step = self.step(self.history("completed"), oracle=Waits())
        assert isinstance(step, Done)
        assert "none is running" in step.reason


@dataclass(frozen=True)
class OneAtATime:
    fill: ClassVar = "draw"

    def suggest(self, history, number):
        return Wait() if history.having(Status.RUNNING) else Start({"x": number / 1000})


@dataclass(frozen=True)
class Waits:
    fill: ClassVar = "draw"

    def suggest(self, history, number):
        return Wait()


def test_an_oracle_may_wait():
    store = store_of()
    made = run(store, curves(flat, seconds=60.0), oracle=OneAtATime(), slots=7, max_trials=5)
    assert made.clock.now() == 300.0
    assert statuses(store) == ["COMPLETED"] * 5


# -- max_trials ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 3])
def test_max_trials_counts_all_runs(slots):
    store = store_of()
    assert run(store, curves(flat), max_trials=4, slots=slots).claims == [(k, 0) for k in range(4)]
    assert run(store, curves(flat), max_trials=6, slots=slots).claims == [(4, 0), (5, 0)]
    for limit in (6, 2):
        again = run(store, curves(flat), max_trials=limit, slots=slots)
        assert again.events == []
        assert f"max_trials={limit}" in again.done.reason
    assert len(store.history()) == 6


def test_slots_work_side_by_side():
    store = store_of()
    made = run(store, curves(flat, epochs=10, seconds=60.0), slots=5, max_trials=20)
    assert made.clock.now() == 4 * 600.0
    started = Counter(trial.started for trial in store.history())
    assert started == {0.0: 5, 600.0: 5, 1200.0: 5, 1800.0: 5}


def test_a_free_slot_is_filled_at_once():
    store = store_of()
    # Trial 0 lasts for an hour, the others for a minute.
    made = run(store, curves(flat, seconds=lambda job: 60.0 if job.number else 3600.0), slots=2, max_trials=31)
    assert made.clock.now() == 3600.0
    assert [trial.started for trial in store.history()[1:]] == [60.0 * k for k in range(30)]


@pytest.mark.parametrize("oracle", [Random(seed=0), QuasiRandom(seed=0)])
def test_nobody_waits_for_the_end_of_the_first_trial(oracle):
    def function(hp, trial):
        hp.Choice("a", ["x", "y", "z"])
        hp.Boolean("b")
        for _ in trial.epochs(10):
            trial.report(loss=1.0)

    found = {}
    for slots in (1, 3):
        store = store_of(Space())
        run(store, played(function), oracle=oracle, max_trials=6, slots=slots)
        found[slots] = store.history()
    first, second, *_ = found[3]
    assert second.started < first.ended
    # All the same nothing is tried twice, and what is tried does not depend on how many look.
    assert [trial.values for trial in found[3]] == [trial.values for trial in found[1]]
    assert len(found[3].tried) == 6


# -- interruption ----------------------------------------------------------------------------------


def broken_off(number, error=KeyboardInterrupt, times=1):
    """A function of x that is broken off in trial `number`, in its second epoch, so many times."""

    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        trial.report(loss=x + 1)
        if trial.number == number and trial.attempt < times:
            raise error
        trial.report(loss=x)

    return function


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, Killed])
@pytest.mark.parametrize("slots", [1, 3])
def test_an_interrupted_trial_is_taken_up_before_new_ones(error, slots):
    store = store_of()
    with pytest.raises(error):
        run(store, played(broken_off(2, error)), max_trials=8, slots=slots)
    before = store.history()
    assert before[2].status is Status.INTERRUPTED
    assert before[2].ended is not None
    # What ran beside it bears the lease of a search that is over; in time it is taken up, too.
    again = run(store, played(broken_off(2, error)), max_trials=8, slots=slots, clock=VirtualClock(at=100.0))
    assert (2, 1) in again.claims[: slots + 1]
    assert all(attempt for number, attempt in again.claims if number < len(before))
    history = store.history()
    assert len(history) == 8
    assert {trial.status for trial in history} == {Status.COMPLETED}
    assert history[2].suggested == before[2].suggested == history[2].values
    assert history[2].attempt == 1
    # Who leaves the process is held to have died of the trial, should it do so again and again.
    assert (history[2].failures, history[2].losses) == (0, int(error is SystemExit))


def test_a_trial_that_leaves_the_process_every_time_is_given_up():
    store = store_of()
    for _ in range(3):
        with pytest.raises(SystemExit):
            run(store, played(broken_off(1, SystemExit, times=9)), max_trials=3)
    run(store, played(broken_off(1, SystemExit, times=9)), max_trials=3)
    statuses = [trial.status for trial in store.history()]
    assert statuses == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
    assert "sys.exit" in store.history()[1].message


def test_an_interrupted_trial_does_not_count_twice():
    store = store_of()
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(store, played(broken_off(2, times=4)), max_trials=5)
    run(store, played(broken_off(2, times=4)), max_trials=5)
    assert len(store.history()) == 5
    assert store.history()[2].attempt == 4
    assert store.history()[2].status is Status.COMPLETED


def test_ctrl_c_with_the_real_executor(tmp_path):
    # A shell starts what it runs in the background deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        if trial.number == 1 and trial.attempt == 0:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        return x

    def tuner():
        return ct.RandomSearch(function, max_trials=3, seed=1, directory=tmp_path)

    with pytest.raises(KeyboardInterrupt):
        tuner().search(verbose=0)
    history = tuner().history
    assert [trial.status.value for trial in history] == ["COMPLETED", "INTERRUPTED"]
    tuner().search(verbose=0)
    after = tuner().history
    assert [trial.status.value for trial in after] == ["COMPLETED"] * 3
    assert after[1].values == history[1].suggested


# -- lost trials -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dead_worker():
    """The name of a process of this machine that is gone."""
    return name_of_a_dead_process("me()")


@pytest.fixture(scope="module")
def dead_search():
    """The same of one whose trials ran in other processes."""
    return name_of_a_dead_process("me(apart=True)")


def name_of_a_dead_process(name):
    code = f"from choritsu.workers import me; print({name})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("slots", [1, 2])
def test_the_trial_of_a_dead_process_is_taken_up_at_once(dead_worker, slots):
    store = store_of()
    store.claim(Claimed(0, 0, {"x": 0.25}, worker=dead_worker), until=1e9)
    made = run(store, curves(flat), max_trials=3, slots=slots)
    assert made.events[0] == Lost(0, 0, at=0.0)
    assert made.claims == [(0, 1), (1, 0), (2, 0)]
    trial = store.history()[0]
    assert (trial.status, trial.values, trial.losses, trial.attempt) == (Status.COMPLETED, {"x": 0.25}, 1, 1)


def test_a_search_that_is_killed_is_not_the_fault_of_what_ran_in_other_processes(dead_search):
    store = store_of()
    for attempt in range(5 * LOSSES):
        store.claim(Claimed(0, attempt, {"x": 0.25}, worker=dead_search), until=1e9)
        if attempt < 5 * LOSSES - 1:
            store.record(Lost(0, attempt, blamed=False))
    made = run(store, curves(flat), max_trials=1)
    assert made.events[0] == Lost(0, 5 * LOSSES - 1, at=0.0, blamed=False)
    assert is_apart(made.events[1].worker)
    trial = store.history()[0]
    assert (trial.status, trial.losses) == (Status.COMPLETED, 0)


def test_a_silent_worker_of_another_machine_is_waited_for():
    store = store_of()
    store.claim(Claimed(0, 0, {"x": 0.25}, worker="elsewhere#1#1#0"), until=500.0)
    made = run(store, curves(flat), max_trials=2)
    assert made.claims == [(1, 0), (0, 1)]
    assert made.idle == 1
    assert 500.0 <= made.clock.now() < 510.0
    assert statuses(store) == ["COMPLETED"] * 2


def test_a_worker_that_renews_its_lease_is_left_in_peace():
    store = store_of()
    store.claim(Claimed(0, 0, {"x": 0.25}, worker="elsewhere#1#1#0"), until=500.0)
    clock = VirtualClock()
    sleep = VirtualClock.sleep

    class Watched:
        now = staticmethod(clock.now)

        @staticmethod
        def sleep(seconds):
            sleep(clock, seconds)
            if clock.now() < 1000.0:
                store.renew(0, 0, clock.now() + 60.0)
            elif not store.history()[0].ended:
                event = Reported(0, 0, Report(0, 0, {"loss": 1.0}))
                store.record(event)
                result = ct_result(0.25)
                store.record(Finished(0, 0, {"x": 0.25}, result, at=clock.now()))

    made = Run(store, curves(flat), max_trials=2, clock=clock)
    made.search._clock = Watched()
    made()
    assert made.claims == [(1, 0)]
    assert clock.now() >= 1000.0
    assert store.history()[0].score == 0.25


def ct_result(score):
    from choritsu.trials import Result

    return Result(score, None, {"loss": score}, 0, 0, 1, 1)


def test_a_trial_whose_process_dies_three_times_is_given_up(dead_worker):
    store = store_of()
    for attempt in range(LOSSES):
        store.claim(Claimed(0, attempt, {"x": 0.25}, worker=dead_worker), until=1e9)
        if attempt < LOSSES - 1:
            store.record(Lost(0, attempt))
    made = run(store, curves(flat), max_trials=3)
    trial = store.history()[0]
    assert trial.status is Status.FAILED
    assert "died 3 times" in trial.message
    assert trial.values == {"x": 0.25}
    assert made.claims == [(1, 0), (2, 0)]


def test_a_trial_that_kills_its_worker_is_given_up_too():
    store = store_of()
    attempts = []

    def simulate(job):
        if job.number != 1:
            yield from curves(flat)(job)
            return
        attempts.append(job.attempt)
        # Without a guard a fault here would run for ever.
        assert len(attempts) < 20, "a trial that kills its process is run again and again"
        yield 5.0, Reported(job.number, job.attempt, Report(0, 0, {"loss": 1.0}))

    run(store, simulate, max_trials=4, slots=2)
    assert attempts == list(range(LOSSES))
    assert statuses(store) == ["COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]
    assert "died 3 times" in store.history()[1].message


def test_the_reports_of_a_lost_attempt_are_kept():
    store = store_of()
    died = []

    def simulate(job):
        if not died:
            died.append(job)
            yield 1.0, Reported(0, 0, Report(0, 0, {"loss": 9.0}))
            yield 1.0, Reported(0, 0, Report(0, 1, {"loss": 8.0}))
            return
        yield from curves(lambda values, epoch: 7.0)(job)

    run(store, simulate, max_trials=1)
    assert [report.metrics["loss"] for report in store.reports(0)[0]] == [7.0, 8.0]
    assert store.history()[0].score == 7.0


def test_leases_are_renewed_while_a_trial_runs():
    store = store_of()

    def function(trial):
        time.sleep(1.0)
        trial.conclude(trial.hyperparameters.Float("x", 0, 1))

    def searched(trials):
        events = []
        plan = Plan(Random(), LOSS, 0, Path(os.devnull), max_trials=trials, lease=0.4)
        executor = InlineExecutor(partial(performed_now, function))
        Search(plan, store, executor, watch=lambda event, history: events.append(event)).run()
        return events

    heard = []
    first = threading.Thread(target=lambda: heard.extend(searched(1)))
    first.start()
    while not len(store.history()):
        time.sleep(0.01)
    # This one looks at the other's lease again and again.
    heard.extend(searched(2))
    first.join()
    assert not [event for event in heard if isinstance(event, Lost)]
    assert statuses(store) == ["COMPLETED"] * 2
    assert [trial.attempt for trial in store.history()] == [0, 0]


def performed_now(function, job, emit):
    perform(job, function, emit, time.time)


# -- failures --------------------------------------------------------------------------------------


def failing(*numbers, attempts=99, error=None):
    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        if trial.number in numbers and trial.attempt < attempts:
            raise error or ValueError("no such layer")
        return x

    return function


class TestRetries:
    @pytest.mark.parametrize("slots", [1, 3])
    def test_what_raises_is_tried_again(self, slots):
        store = store_of()
        run(store, played(failing(1, attempts=2)), max_retries=2, max_trials=3, slots=slots)
        assert statuses(store) == ["COMPLETED"] * 3
        trial = store.history()[1]
        assert (trial.attempt, trial.failures) == (2, 2)
        assert trial.values == trial.suggested

    def test_so_many_times_and_no_more(self):
        store = store_of()
        made = run(store, played(failing(1)), max_retries=2, max_trials=3)
        assert statuses(store) == ["COMPLETED", "FAILED", "COMPLETED"]
        assert made.claims == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0)]
        assert store.history()[1].message == "ValueError: no such layer"

    def test_never_what_wants_to_fail(self):
        store = store_of()
        error = ct.FailedTrialError("out of memory")
        run(store, played(failing(1, error=error)), max_retries=5, max_trials=3)
        trial = store.history()[1]
        assert (trial.status, trial.attempt, trial.message) == (Status.FAILED, 0, "out of memory")

    def test_across_restarts(self):
        store = store_of()
        claims = []

        def function(hp, trial):
            if trial.number == 1 and trial.attempt == 1:
                raise KeyboardInterrupt
            return failing(1)(hp, trial)

        with pytest.raises(KeyboardInterrupt):
            run(store, played(function), max_retries=2, max_trials=3)
        claims = run(store, played(function), max_retries=2, max_trials=3).claims
        # Attempt 0 failed, 1 was interrupted and is not counted, 2 and 3 are the two retries.
        assert claims == [(1, 2), (1, 3), (2, 0)]
        assert store.history()[1].failures == 3

    def test_diverging_is_retried_as_well(self):
        store = store_of()

        def function(hp, trial):
            hp.Float("x", 0, 1)
            return float("nan") if trial.attempt == 0 else 1.0

        run(store, played(function), max_retries=1, max_trials=2)
        assert statuses(store) == ["COMPLETED"] * 2


class TestConsecutiveFailures:
    def test_three_in_a_row_stop_the_search(self):
        store = store_of()
        with pytest.raises(TooManyFailuresError) as caught:
            run(store, played(failing(2, 3, 4)), max_trials=9)
        assert statuses(store) == ["COMPLETED"] * 2 + ["FAILED"] * 3
        said = str(caught.value)
        assert said.startswith("3 trials in a row have failed (max_consecutive_failed_trials=3)")
        assert "trial 4" in said
        assert "ValueError: no such layer" in said
        assert "run again to go on" in said

    def test_a_success_between_them_resets_the_count(self):
        store = store_of()
        run(store, played(failing(0, 1, 3, 4, 6, 7)), max_trials=9)
        assert Counter(statuses(store)) == {"FAILED": 6, "COMPLETED": 3}

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_the_limit(self, limit):
        store = store_of()
        with pytest.raises(TooManyFailuresError):
            run(store, played(failing(*range(99))), max_consecutive_failures=limit)
        assert statuses(store) == ["FAILED"] * limit

    def test_retries_count_once(self):
        store = store_of()
        run(store, played(failing(0, 1)), max_trials=4, max_retries=4)
        assert statuses(store) == ["FAILED"] * 2 + ["COMPLETED"] * 2

    def test_the_next_run_begins_to_count_anew(self):
        store = store_of()
        for made in (3, 6):
            with pytest.raises(TooManyFailuresError):
                run(store, played(failing(*range(99))), max_trials=20)
            assert len(store.history()) == made
        run(store, played(failing()), max_trials=20)
        assert Counter(statuses(store)) == {"FAILED": 6, "COMPLETED": 14}

    def test_with_several_slots_it_stops_too(self):
        store = store_of()
        with pytest.raises(TooManyFailuresError):
            run(store, played(failing(*range(99))), slots=7)
        assert len(store.history()) <= 10


class TestRefusals:
    def test_they_cost_nothing(self):
        store = store_of()

        def function(hp):
            x = hp.Float("x", 0, 1)
            if x < 0.5:
                raise ct.RedrawTrialError("too small")
            return x

        for slots, trials in ((1, 5), (3, 10)):
            run(store, played(function), max_trials=trials, slots=slots)
            assert len(store.history().completed) == trials
        refused = store.history().having(Status.REFUSED)
        assert refused
        assert {trial.message for trial in refused} == {"too small"}
        assert all(trial.values["x"] < 0.5 for trial in refused)

    def test_they_are_no_failures(self):
        store = store_of()

        def function(hp, trial):
            hp.Float("x", 0, 1)
            if trial.number < 50:
                raise ct.RedrawTrialError
            return 1.0

        run(store, played(function), max_trials=2, max_consecutive_failures=1)
        assert len(store.history()) == 52

    def test_endless_refusals_end_with_a_sentence(self):
        store = store_of()

        def function(hp):
            hp.Float("x", 0, 1)
            raise ct.RedrawTrialError("heads must divide width")

        with pytest.raises(TooManyFailuresError, match=rf"^{REFUSALS} combinations in a row were refused.*heads must"):
            run(store, played(function), max_trials=5)
        assert len(store.history()) == REFUSALS

    def test_a_finite_space_that_is_refused_as_a_whole_is_exhausted(self):
        store = store_of(Space())

        def function(hp):
            hp.Int("x", 1, 20)
            raise ct.RedrawTrialError

        made = run(store, played(function), max_trials=5)
        assert "every combination has been tried" in made.done.reason
        assert statuses(store) == ["REFUSED"] * 20

    def test_refusing_before_asking_for_anything(self):
        def function(hp):
            raise ct.RedrawTrialError("nothing makes sense")

        with pytest.raises(TooManyFailuresError, match="nothing makes sense"):
            run(store_of(Space()), played(function), max_trials=5)


def test_a_fatal_error_stops_the_search():
    store = store_of()

    def function(hp, trial):
        hp.Float("x", 0, 1)
        if trial.number == 2:
            raise ct.errors.FatalValueError("the data is gone")
        return 1.0

    with pytest.raises(ct.errors.FatalValueError, match="the data is gone"):
        run(store, played(function), max_trials=9)
    assert statuses(store) == ["COMPLETED", "COMPLETED", "FAILED"]


def test_a_definition_that_changes_stops_the_search():
    store = store_of(Space())

    def function(hp, trial):
        return hp.Int("x", 0, 10 + (trial.number == 2))

    with pytest.raises(RedefinedError, match="'x'"):
        run(store, played(function), max_trials=9)
    assert statuses(store) == ["COMPLETED", "COMPLETED", "INTERRUPTED"]
    # Once the function is mended, the trial is taken up.
    made = run(store, played(lambda hp: hp.Int("x", 0, 10)), max_trials=4)
    assert made.claims == [(2, 1), (3, 0)]
    assert statuses(store) == ["COMPLETED"] * 4


def test_a_function_that_contradicts_itself_fails():
    store = store_of(Space())

    def function(hp):
        return hp.Int("x", 0, 10) + hp.Int("x", 0, 11)

    with pytest.raises(TooManyFailuresError, match="'x' is Int"):
        run(store, played(function), max_trials=9)


# -- results ---------------------------------------------------------------------------------------


class WithItem:
    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class KerasHistory:
    def __init__(self, **history):
        self.history = history


UNREADABLE = [
    ({"accuracy": 1.0}, "the objective 'loss' was not among the metrics reported: accuracy"),
    ({"accuracy": 1.0, "f1": 2.0}, "the objective 'loss' was not among the metrics reported: accuracy, f1"),
    (None, "TypeError: the function returned None and reported nothing; return a number"),
    ({}, "ValueError: at least one metric is to be reported or returned"),
    (float("nan"), "loss was nan and at no epoch finite: the training diverged"),
    (math.inf, "loss was inf and at no epoch finite: the training diverged"),
    (-math.inf, "loss was -inf and at no epoch finite: the training diverged"),
    ({"loss": np.float32("nan")}, "loss was nan and at no epoch finite: the training diverged"),
    ("0.5", "TypeError: the function returned '0.5' (str); return a number"),
    ([0.5, 0.6], "TypeError: the function returned [0.5, 0.6] (list); return a number"),
    ((0.5,), "TypeError: the function returned (0.5,) (tuple); return a number"),
    (np.array([0.5, 0.6]), "TypeError: the function returned array([0.5, 0.6]) (ndarray); return a number"),
    (1j, "TypeError: the function returned 1j (complex); return a number"),
    ({"loss": "low"}, "TypeError: the metric 'loss' must be a single number, got 'low' (str)"),
    ({"loss": None}, "TypeError: the metric 'loss' must be a single number, got None (NoneType)"),
    (KerasHistory(), "the training history is empty: no epoch was trained"),
    (KerasHistory(accuracy=[0.5]), "the objective 'loss' was not among the metrics reported: accuracy"),
    (KerasHistory(loss=[math.nan, math.nan]), "loss was nan and at no epoch finite: the training diverged"),
]

READABLE = [
    (0.5, 0.5),
    (1, 1.0),
    (True, 1.0),
    (np.float32(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (np.array(0.5), 0.5),
    (WithItem(0.5), 0.5),
    ({"loss": 0.5, "accuracy": math.nan}, 0.5),
    (KerasHistory(loss=[0.9, 0.5, 0.7], accuracy=[0.1, 0.2, 0.3]), 0.5),
    (KerasHistory(loss=[math.nan, 0.5, math.inf]), 0.5),
]


class TestResults:
    def searched(self, returned):
        store = store_of()

        def function(hp, trial):
            hp.Float("x", 0, 1)
            return returned if trial.number == 1 else 1.0

        run(store, played(function), max_trials=3)
        return store.history()

    @pytest.mark.parametrize(("returned", "said"), UNREADABLE, ids=lambda value: repr(value)[:30])
    def test_what_cannot_be_read_fails_the_trial_and_says_why(self, returned, said):
        history = self.searched(returned)
        assert [trial.status.value for trial in history] == ["COMPLETED", "FAILED", "COMPLETED"]
        assert said in history[1].message
        assert history[1].score is None
        assert history[1].values == history[1].suggested

    @pytest.mark.parametrize(("returned", "score"), READABLE, ids=lambda value: repr(value)[:30])
    def test_what_can_be_read(self, returned, score):
        history = self.searched(returned)
        assert [trial.status.value for trial in history] == ["COMPLETED"] * 3
        assert history[1].score == score

    def test_an_exception_is_told_with_its_place(self):
        store = store_of()

        def deep_inside(x):
            raise LookupError(f"no layer {x!r}\nand more")

        def function(hp, trial):
            x = hp.Float("x", 0, 1)
            return deep_inside("q") if trial.number == 1 else x

        run(store, played(function), max_trials=3)
        trial = store.history()[1]
        assert trial.message.startswith("LookupError: no layer 'q'")
        assert "\n" not in trial.message
        assert "deep_inside" in trial.traceback
        assert "and more" in trial.traceback
        assert [trial.status.value for trial in store.history()] == ["COMPLETED", "FAILED", "COMPLETED"]

    def test_an_exception_without_words(self):
        store = store_of()
        run(store, played(failing(0, error=AssertionError())), max_trials=2)
        assert store.history()[0].message == "AssertionError"

    def test_one_bad_epoch_does_no_harm(self):
        store = store_of()

        def function(hp, trial):
            for loss in (math.nan, 0.9, 0.3, math.inf, 0.5):
                trial.report(loss=loss + hp.Float("x", 0, 1) * 0)

        run(store, played(function), max_trials=1)
        result = store.history()[0].result
        assert (result.score, result.best_epoch, result.epochs) == (0.3, 2, 5)

    def test_what_is_reported_and_then_fails_stays(self):
        store = store_of()

        def function(hp, trial):
            trial.report(loss=hp.Float("x", 0, 1))
            raise MemoryError

        with pytest.raises(TooManyFailuresError):
            run(store, played(function), max_trials=5)
        assert len(store.reports()) == 3

    def test_a_larger_objective_is_better(self):
        store = MemoryStore()
        objective = Objective("accuracy", "max")
        store.identify(Identity(objective))
        plan = Plan(Grid(), objective, 0, Path(os.devnull))

        def function(hp, trial):
            for k in (1, 2, 0):
                trial.report(accuracy=hp.Int("x", 0, 4) * k)

        clock = VirtualClock()
        Search(plan, store, VirtualExecutor(2, played(function), clock), clock=clock, heartbeat=False).run()
        assert store.history().best.values == {"x": 4}
        assert store.history().best.score == 8.0
        assert store.history().best.best_step == 1


class TestReporting:
    def told(self, function):
        """Run one trial; give its reports, or the exception that its function met."""
        store = store_of()
        met = []

        def guarded(hp, trial):
            hp.Float("x", 0, 1)
            try:
                function(trial)
            except Exception as error:
                met.append(error)
                raise

        with contextlib.suppress(TooManyFailuresError):
            run(store, played(guarded), max_trials=1)
        return met[0] if met else store.reports(0)[0]

    @pytest.mark.parametrize(
        ("report", "kind", "said"),
        [
            (lambda trial: trial.report(), ValueError, "at least one metric"),
            (lambda trial: trial.report({}), ValueError, "at least one metric"),
            (lambda trial: trial.report(epoch=3), ValueError, "at least one metric"),
            (lambda trial: trial.report(loss="low"), TypeError, "'loss' must be a single number, got 'low'"),
            (lambda trial: trial.report(loss=[1.0, 2.0]), TypeError, "'loss' must be a single number"),
            (lambda trial: trial.report(loss=np.ones(3)), TypeError, "'loss' must be a single number"),
            (lambda trial: trial.report(0.5), TypeError, "report"),
            (lambda trial: trial.report(loss=1.0, epoch=-1), ValueError, "epoch"),
            (lambda trial: trial.report(loss=1.0, epoch=1.5), TypeError, "integer"),
            (lambda trial: trial.report(loss=1.0, epoch="1"), TypeError, "integer"),
            (
                lambda trial: [trial.report(loss=1.0, epoch=2) for _ in range(2)],
                ValueError,
                "epoch 2 was reported already",
            ),
        ],
    )
    def test_misuse(self, report, kind, said):
        error = self.told(report)
        assert isinstance(error, kind)
        assert said in str(error)

    def test_epochs_are_counted_by_themselves(self):
        def function(trial):
            assert trial.next_epoch == 0
            trial.report(loss=3.0)
            trial.report({"loss": 2.0, "accuracy": np.float32(0.5)}, f1=1)
            trial.report(loss=1.0, epoch=7)
            assert trial.next_epoch == 8
            trial.report(loss=0.5)

        told = self.told(function)
        assert [report.epoch for report in told] == [0, 1, 7, 8]
        assert told[1].metrics == {"loss": 2.0, "accuracy": 0.5, "f1": 1.0}
        assert all(type(value) is float for report in told for value in report.metrics.values())

    def test_executions_count_their_own_epochs(self):
        store = store_of()

        def function(hp, trial):
            hp.Float("x", 0, 1)
            for execution in range(3):
                trial.execution = execution
                for epoch in range(2):
                    trial.report(loss=execution + epoch)

        run(store, played(function), max_trials=1)
        assert [(report.execution, report.epoch) for report in store.reports(0)[0]] == [
            (execution, epoch) for execution in range(3) for epoch in range(2)
        ]
        result = store.history()[0].result
        assert (result.score, result.spread, result.executions, result.best_execution) == (1.0, 1.0, 3, 0)

    @pytest.mark.parametrize("value", [object(), "1", None, [1], {"a": 1}, np.ones((2, 2)), 1j])
    def test_what_is_no_number(self, value):
        with pytest.raises(TypeError, match="'loss' must be a single number"):
            as_number("loss", value)

    def test_a_running_trial_knows_itself(self):
        store = store_of()
        seen = []

        def function(hp, trial):
            x = hp.Float("x", 0, 1)
            seen.append((trial.trial_id, trial.status, trial.attempt, trial.seed, trial.hyperparameters is hp))
            assert trial.is_best({"loss": 9.0})
            trial.report(loss=5.0)
            assert not trial.is_best({"loss": 5.0})
            assert trial.is_best({"loss": 4.0})
            return x

        run(store, played(function), max_trials=2)
        assert statuses(store) == ["COMPLETED"] * 2
        assert [entry[:3] for entry in seen] == [("0000", "RUNNING", 0), ("0001", "RUNNING", 0)]
        assert seen[0][3] != seen[1][3]
        again = store_of()
        run(again, played(function), max_trials=2)
        assert seen[2:] == seen[:2]


# -- enqueueing ------------------------------------------------------------------------------------


class TestEnqueueing:
    @pytest.mark.parametrize("slots", [1, 4])
    def test_first_and_not_twice_after_a_restart(self, slots):
        store = store_of()
        enqueued = ({"x": 0.5}, {"x": 0.25}, {"x": 0.5})
        for trials in (1, 3, 6):
            run(store, curves(flat), enqueued=enqueued, max_trials=trials, slots=slots)
        history = store.history()
        assert [trial.suggested for trial in history[:2]] == [{"x": 0.5}, {"x": 0.25}]
        assert [trial.enqueued for trial in history] == [True, True, False, False, False, False]
        assert len({trial.values["x"] for trial in history}) == 6

    def test_after_an_interruption_it_is_taken_up_not_enqueued_again(self):
        store = store_of()
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run(store, played(broken_off(0, times=2)), enqueued=({"x": 0.5},), max_trials=3)
        run(store, played(broken_off(0, times=2)), enqueued=({"x": 0.5},), max_trials=3)
        assert [trial.enqueued for trial in store.history()] == [True, False, False]
        assert store.history()[0].values == {"x": 0.5}

    def test_what_is_enqueued_later_comes_next(self):
        store = store_of()
        run(store, curves(flat), max_trials=2)
        run(store, curves(flat), max_trials=4, enqueued=({"x": 0.5},))
        assert store.history()[2].values == {"x": 0.5}

    def test_a_failure_or_refusal_is_not_repeated(self):
        store = store_of()

        def function(hp):
            x = hp.Float("x", 0, 1)
            if x == 0.5:
                raise ct.RedrawTrialError
            if x == 0.25:
                raise ValueError
            return x

        for _ in range(2):
            run(store, played(function), enqueued=({"x": 0.5}, {"x": 0.25}), max_trials=4)
        assert statuses(store) == ["REFUSED", "FAILED", *["COMPLETED"] * 3]

    @pytest.mark.parametrize("oracle", [Random(), QuasiRandom(), Grid()], ids=lambda oracle: type(oracle).__name__)
    def test_what_it_leaves_open_takes_its_default(self, oracle):
        store = store_of(Space())

        def function(hp):
            return hp.Int("a", 0, 9, default=3) + hp.Int("b", 0, 9, default=4)

        run(store, played(function), oracle=oracle, enqueued=({}, {"b": 7}, {"never": 1}), max_trials=4)
        assert [trial.values for trial in store.history()[:3]] == [
            {"a": 3, "b": 4},
            {"a": 3, "b": 7},
            {"a": 3, "b": 4},
        ]

    def test_a_value_outside_fails_its_trial_and_no_other(self):
        store = store_of(Space())
        run(store, played(lambda hp: hp.Int("a", 0, 9)), enqueued=({"a": 99},), max_trials=3)
        assert statuses(store) == ["FAILED", "COMPLETED", "COMPLETED"]
        assert "'a': the value 99 is outside" in store.history()[0].message

    def test_it_counts_towards_max_trials(self):
        store = store_of()
        run(store, curves(flat), enqueued=tuple({"x": k / 10} for k in range(8)), max_trials=5)
        assert [trial.values["x"] for trial in store.history()] == [0.0, 0.1, 0.2, 0.3, 0.4]


# -- events ----------------------------------------------------------------------------------------


def test_every_event_is_told_with_the_history_after_it():
    store = store_of(Space())
    told = []

    def function(hp, trial):
        trial.report(loss=hp.Int("x", 0, 9))

    clock = VirtualClock()
    plan = Plan(Random(), LOSS, 0, Path(os.devnull), max_trials=2)
    executor = VirtualExecutor(1, played(function), clock)
    Search(plan, store, executor, watch=lambda *heard: told.append(heard), clock=clock, heartbeat=False).run()
    assert [type(event).__name__ for event, _ in told] == [
        *["Claimed", "Grew", "Reported", "Finished"],
        *["Claimed", "Reported", "Finished"],
    ]
    assert [len(history) for _, history in told] == [1, 1, 1, 1, 2, 2, 2]
    assert told[1][1].space == Space((Int("x", 0, 9),))
    assert [history[-1].status.value for _, history in told] == [
        *["RUNNING", "RUNNING", "RUNNING", "COMPLETED"],
        *["RUNNING", "RUNNING", "COMPLETED"],
    ]


def test_an_error_of_the_watch_stops_the_search_and_loses_nothing():
    store = store_of()

    def watch(event, history):
        if isinstance(event, Finished) and event.number == 1:
            raise RuntimeError("the display is broken")

    clock = VirtualClock()
    plan = Plan(Random(), LOSS, 0, Path(os.devnull), max_trials=4)
    executor = VirtualExecutor(1, curves(flat), clock)
    with pytest.raises(RuntimeError, match="the display is broken"):
        Search(plan, store, executor, watch=watch, clock=clock, heartbeat=False).run()
    assert statuses(store) == ["COMPLETED", "COMPLETED"]
    run(store, curves(flat), max_trials=4)
    assert statuses(store) == ["COMPLETED"] * 4


# -- several searches on one store -----------------------------------------------------------------


def together(store, function, searches=3, *, oracle=None, **plan):
    """Run several searches at the same time, each in a thread; give the numbers that each made."""
    made = [[] for _ in range(searches)]
    errors = []

    def work(mine):
        def watch(event, history):
            if isinstance(event, Finished | Failed | Refused):
                mine.append(event.number)

        try:
            executor = InlineExecutor(partial(performed_now, function))
            Search(Plan(oracle or Random(), LOSS, 0, Path(os.devnull), **plan), store, executor, watch=watch).run()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)
    return made


def slow(trial):
    x = trial.hyperparameters.Int("x", 0, 10**6)
    y = trial.hyperparameters.Choice("y", [1, 2])
    time.sleep(0.004)
    trial.conclude(x * y)


@pytest.mark.parametrize("oracle", [Random(), QuasiRandom(), Grid()], ids=lambda oracle: type(oracle).__name__)
@pytest.mark.parametrize("known", [True, False])
def test_searches_that_share_a_store_share_the_work(oracle, known):
    store = store_of(Space((Int("x", 0, 10**6), Choice("y", (1, 2)))) if known else Space())
    made = together(store, slow, oracle=oracle, max_trials=40, enqueued=({"x": 5}, {"x": 6}))
    assert sorted(number for numbers in made for number in numbers) == list(range(40))
    assert all(made)
    history = store.history()
    assert statuses(store) == ["COMPLETED"] * 40
    assert len({same(trial.values) for trial in history}) == 40
    assert [trial.attempt for trial in history] == [0] * 40
    assert sorted(trial.suggested["x"] for trial in history if trial.enqueued) == [5, 6]


def test_searches_that_share_a_store_try_the_same_as_one():
    space = Space((Float("a", 0, 1), Boolean("b"), Float("c", 0, 1, conditions=(Condition("b", (True,)),))))

    def function(trial):
        for parameter in space:
            trial.hyperparameters.ask(parameter)
        time.sleep(0.001)
        trial.conclude(1.0)

    alone, shared = store_of(space), store_of(space)
    together(alone, function, 1, max_trials=30)
    together(shared, function, 4, max_trials=30)
    assert suggested(shared) == suggested(alone)


def test_a_small_space_is_shared_without_doubling():
    space = Space((Int("a", 1, 6), Boolean("b")))
    for oracle in (Random(), QuasiRandom(), Grid()):
        store = store_of(space)

        def function(trial):
            for parameter in space:
                trial.hyperparameters.ask(parameter)
            time.sleep(0.002)
            trial.conclude(1.0)

        together(store, function, 4, oracle=oracle)
        assert len({same(trial.values) for trial in store.history()}) == len(store.history()) == 12


def test_refusals_are_shared():
    store = store_of()

    def function(trial):
        x = trial.hyperparameters.Float("x", 0, 1)
        time.sleep(0.001)
        if x < 0.3:
            raise ct.RedrawTrialError
        trial.conclude(x)

    together(store, function, 3, max_trials=20)
    counted = len(store.history()) - len(store.history().having(Status.REFUSED))
    assert counted == 20


# -- stopped and continued -------------------------------------------------------------------------

ORACLES = [Random(seed=3), QuasiRandom(seed=3), Grid()]
every_oracle = pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: type(oracle).__name__)


def hard(hp, trial):
    """A function with branches in plain Python, that refuses, fails and diverges by its values alone."""
    if hp.Choice("model", ["tree", "net"]) == "tree":
        worth = hp.Int("depth", 1, 3)
    else:
        worth = hp.Float("rate", 1e-3, 1e-1, sampling="log") * 100
    if hp.Boolean("late"):
        worth += hp.Int("extra", 0, 5)
    kind = int(worth * 7) % 11
    if kind == 1:
        raise ct.RedrawTrialError("no sense")
    if kind == 2:
        raise ct.FailedTrialError("no memory")
    for epoch in range(3):
        trial.report(loss=math.nan if kind == 3 else worth + 1 / (epoch + 1))
    return


def searched(store, oracle, **arguments):
    arguments.setdefault("max_trials", 14)
    return run(store, played(hard), oracle=oracle, max_consecutive_failures=99, **arguments)


@every_oracle
def test_a_search_stopped_after_any_trial_goes_on_as_if_nothing_had_happened(oracle):
    whole = store_of(Space())
    searched(whole, oracle)
    for stop in range(14):
        store = store_of(Space())
        searched(store, oracle, max_trials=stop)
        searched(store, oracle)
        assert outcome(store) == outcome(whole)


@every_oracle
@settings(max_examples=20)
@given(stops=st.lists(st.integers(0, 12), max_size=3).map(sorted), space=spaces(parameters))
def test_the_same_over_any_space(oracle, stops, space):
    assume(all(parameter.size is None or parameter.size < 10**5 for parameter in space))
    whole, store = store_of(space), store_of(space)
    for stop in (*stops, 12):
        run(store, curves(hardship), oracle=oracle, max_trials=stop, max_consecutive_failures=99)
    run(whole, curves(hardship), oracle=oracle, max_trials=12, max_consecutive_failures=99)
    assert outcome(store) == outcome(whole)


@every_oracle
@settings(max_examples=30)
@given(
    moments=st.lists(
        st.tuples(
            st.sampled_from(["claim", "record", "history", "leases"]),
            st.integers(1, 60),
            st.sampled_from(["before", "after"]),
            st.booleans(),
        ),
        max_size=4,
    )
)
def test_a_search_killed_at_any_call_of_its_store_ends_as_if_nothing_had_happened(oracle, moments):
    whole = store_of(Space())
    searched(whole, oracle)
    store = store_of(Space())
    clock = VirtualClock()
    deaths = Counter()
    for method, call, moment, dead in moments:
        # A dead process says nothing more; one that is only interrupted still records that.
        last = call + 9 if dead else call
        faults = [
            Fault(method, number, moment if number == call else "before", Killed()) for number in range(call, last + 1)
        ]
        with contextlib.suppress(Killed):
            searched(FaultyStore(store, *faults), oracle, clock=clock)
        # A real process is known to be dead at once; of this one only the lease runs out.
        clock.sleep(100.0)
        deaths.update(trial.number for trial in store.history().having(Status.RUNNING))
    if max(deaths.values(), default=0) >= LOSSES:
        return
    searched(store, oracle, clock=clock)
    assert outcome(store) == outcome(whole)


@every_oracle
def test_several_slots_killed_and_continued_lose_nothing(oracle):
    space = Space((Float("x", 0, 1), Int("n", 1, 5), Boolean("b")))
    simulate = curves(lambda values, epoch: values["x"] + epoch, epochs=4, seconds=lambda job: 1 + job.number % 3)
    whole = store_of(space)
    run(whole, simulate, oracle=oracle, slots=4, max_trials=40)
    store = store_of(space)
    clock = VirtualClock()
    for call in (7, 30, 64, 99):
        faults = [Fault("record", number, "before", Killed()) for number in range(call, call + 50)]
        with pytest.raises(Killed):
            run(FaultyStore(store, *faults), simulate, oracle=oracle, slots=4, max_trials=40, clock=clock)
        before = {trial.number: trial for trial in store.history().completed}
        clock.sleep(100.0)
    made = run(store, simulate, oracle=oracle, slots=4, max_trials=40, clock=clock)
    assert outcome(store) == outcome(whole)
    assert not set(before) & {number for number, _ in made.claims}


@pytest.mark.parametrize("method", ["claim", "record", "history", "leases"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("executor", ["inline", "virtual"])
def test_a_disk_that_fails_for_a_moment_fails_no_trial(method, moment, call, executor):
    """A store's error is no fault of the trial: it reaches the caller, and the next run loses nothing."""
    whole, store, clock = store_of(Space()), store_of(Space()), VirtualClock()

    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        try:
            trial.report(loss=x + 1)
        except Exception:
            return 99.0  # What a careless function does with whatever it is told.
        trial.report(loss=x)
        return None

    def go(kept):
        plan = Plan(Random(), LOSS, 0, Path(os.devnull), max_trials=3)
        if executor == "inline":
            work = InlineExecutor(
                lambda job, emit: perform(job, lambda t: t.conclude(function(t.hyperparameters, t)), emit, clock.now)
            )
        else:
            work = VirtualExecutor(1, played(function), clock)
        with closing(work):
            Search(plan, kept, work, clock=clock, heartbeat=False).run()

    go(whole)
    error = OSError("the disk is full")
    try:
        go(FaultyStore(store, Fault(method, call, moment, error)))
    except OSError as met:
        assert met is error  # noqa: PT017  # whether it comes depends on the case
    else:
        assert error.__traceback__ is None, "the error was raised, and swallowed"
    assert not store.history().having(Status.FAILED)
    go(store)
    assert outcome(store) == outcome(whole)


# -- kill -9 ---------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
import choritsu as ct

directory, log, kind, trials = sys.argv[1:]

def say(*words):
    with open(log, "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

def function(hp, trial):
    x = hp.Float("x", 0, 1, step=0.01)
    worth = x + hp.Int("n", 1, 3) if x > 0.5 else x
    say("begin", trial.number, trial.attempt)
    for epoch in range(3):
        time.sleep(0.001)
        trial.report(loss=worth + 1 / (epoch + 1))
    say("end", trial.number, trial.attempt)

tuner = getattr(ct, kind)(
    function, objective=ct.Objective("loss", "min"), max_trials=int(trials), seed=3, directory=directory
)
tuner.search(verbose=0)
say("done")
"""


class Script:
    """A script that searches, in a process of its own that can be killed."""

    def __init__(self, place, kind, trials):
        place.mkdir()
        self.program = place / "script.py"
        self.program.write_text(PROGRAM, encoding="utf-8")
        self.log = place / "log.txt"
        self.log.touch()
        self.directory = place / "tuning"
        self.arguments = [str(self.directory), str(self.log), kind, str(trials)]

    def start(self):
        return subprocess.Popen([sys.executable, str(self.program), *self.arguments], stderr=subprocess.PIPE)

    def lines(self):
        return self.log.read_text(encoding="utf-8").splitlines()

    def history(self):
        if not (self.directory / "untitled_project" / "search.db").exists():
            return History()
        with closing(open_store(self.directory / "untitled_project")) as store:
            return store.history()

    def finish(self):
        process = self.start()
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
        assert self.lines()[-1] == "done"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no kill -9")
@pytest.mark.parametrize(("kind", "kills"), [("RandomSearch", 15), ("GridSearch", 5)])
def test_kill_minus_9_at_any_moment_loses_nothing(tmp_path, kind, kills):
    trials = 10 * kills
    whole = Script(tmp_path / "whole", kind, trials)
    whole.finish()
    script = Script(tmp_path / "killed", kind, trials)
    chance = random.Random(kind)
    finished = {}
    for kill in range(kills):
        begun = len(script.lines())
        process = script.start()
        # Every third time before the first trial begins; else after some trials, anywhere in one.
        if kill % 3 == 2:
            time.sleep(chance.uniform(0.0, 0.6))
        else:
            goal = begun + chance.randint(6, 16)
            patience = time.monotonic() + 60
            while len(script.lines()) < goal and process.poll() is None and time.monotonic() < patience:
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        history = script.history()
        now = {trial.number: (same(trial.values), trial.score) for trial in history.completed}
        # What was finished is finished for ever, and no finished trial was begun again.
        assert {number: now.get(number) for number in finished} == finished
        assert not set(finished) & {int(line.split()[1]) for line in script.lines()[begun:] if line.startswith("begin")}
        finished = now
    assert 0 < len(finished) < trials
    script.finish()
    with closing(open_store(script.directory / "untitled_project")) as store:
        killed = outcome(store)
        reports = store.reports()
    with closing(open_store(whole.directory / "untitled_project")) as store:
        assert killed == outcome(store)
        assert {n: [r.metrics for r in told] for n, told in reports.items()} == {
            n: [r.metrics for r in told] for n, told in store.reports().items()
        }
    ends = Counter(int(line.split()[1]) for line in script.lines() if line.startswith("end"))
    assert set(ends) == set(range(trials))
    # A trial may end in the moment before its end is written down; more than one kill each is impossible.
    assert sum(ends.values()) <= trials + kills


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no kill -9")
def test_processes_that_share_a_directory_take_over_from_one_another(tmp_path):
    script = Script(tmp_path / "shared", "RandomSearch", 80)
    workers = [script.start() for _ in range(3)]
    while len(script.lines()) < 40 and any(worker.poll() is None for worker in workers):
        time.sleep(0.005)
    workers[0].send_signal(signal.SIGKILL)
    for worker in workers:
        worker.communicate(timeout=120)
    assert [worker.returncode for worker in workers[1:]] == [0, 0]
    history = script.history()
    assert [trial.status for trial in history] == [Status.COMPLETED] * 80
    assert len({same(trial.values) for trial in history}) == 80
    begun = Counter(line for line in script.lines() if line.startswith("begin"))
    assert set(begun.values()) == {1}
    # Only what the killed one was at was begun a second time.
    assert sum(trial.attempt for trial in history) <= 1


def test_a_living_process_of_this_machine_is_given_time_and_no_blame():
    """It may be asleep, stopped, or in a call that lets nobody else run."""
    code = "from choritsu.workers import me; print(me(), flush=True); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            store = store_of()
            store.claim(Claimed(0, 0, {"x": 0.25}, worker=process.stdout.readline().strip()), until=100.0)
            made = run(store, curves(flat), max_trials=1)
        finally:
            process.kill()
    assert made.events[0] == Lost(0, 0, at=made.events[0].at, blamed=False)
    assert 700.0 <= made.events[0].at < 710.0
    assert (store.history()[0].status, store.history()[0].losses) == (Status.COMPLETED, 0)


def test_who_renews_after_all_is_not_lost():
    code = "from choritsu.workers import me; print(me(), flush=True); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            store, clock = store_of(), VirtualClock()
            store.claim(Claimed(0, 0, {"x": 0.25}, worker=process.stdout.readline().strip()), until=100.0)

            class Slept(VirtualClock):
                def sleep(self, seconds):
                    super().sleep(seconds)
                    if self.now() >= 600.0 and not store.history()[0].ended:
                        assert store.record(Finished(0, 0, {"x": 0.25}, ct_result(0.25), at=self.now()))

            made = run(store, curves(flat), max_trials=1, clock=Slept())
        finally:
            process.kill()
    assert made.events == []
    assert clock.now() == 0.0
    assert store.history()[0].score == 0.25


def test_epochs_that_other_processes_train_count():
    store = store_of()
    store.claim(Claimed(0, 0, {"x": 0.5}, worker="elsewhere#1#1#0"), until=1e9)
    theirs = iter(range(1000))

    def simulate(job):
        for epoch in range(50):
            # For each epoch here, one there.
            store.record(Reported(0, 0, Report(0, next(theirs), {"loss": 1.0})))
            answer = yield 2.0, Reported(job.number, job.attempt, Report(0, epoch, {"loss": 1.0}))
            if isinstance(answer, Pause):
                yield 0.0, Interrupted(job.number, job.attempt)
                return

    made = run(store, simulate, max_trials=5, max_epochs_total=20)
    told = store.reports()
    assert 20 <= len(told[0]) + len(told[1]) <= 21
    assert "max_epochs_total=20" in made.done.reason


def test_epochs_of_trials_that_other_processes_have_begun_since_count():
    store = store_of()

    def simulate(job):
        for epoch in range(50):
            if epoch == 2:
                store.claim(Claimed(1, 0, {"x": 0.5}, worker="elsewhere#1#1#0"), until=1e9)
                for theirs in range(40):
                    store.record(Reported(1, 0, Report(0, theirs, {"loss": 1.0})))
            answer = yield 2.0, Reported(job.number, job.attempt, Report(0, epoch, {"loss": 1.0}))
            if isinstance(answer, Pause):
                yield 0.0, Interrupted(job.number, job.attempt)
                return

    run(store, simulate, max_trials=5, max_epochs_total=20)
    assert len(store.reports()[0]) == 3


def test_a_stopper_sees_what_other_processes_have_told_since():
    store = store_of()
    store.claim(Claimed(0, 0, {"x": 0.5}, worker="elsewhere#1#1#0"), until=1e9)
    store.record(Reported(0, 0, Report(0, 0, {"loss": 1.0})))
    seen = []

    class Looking:
        def decide(self, history, curves, reported):
            seen.append({number: len(told) for number, told in curves.items()})
            return ct.decisions.Continue()

    def simulate(job):
        for epoch in range(1, 4):
            store.record(Reported(0, 0, Report(0, epoch, {"loss": 1.0})))
            yield 5.0, Reported(1, 0, Report(0, epoch - 1, {"loss": 1.0}))
        store.record(Finished(0, 0, {"x": 0.5}, ct_result(0.5)))
        yield 5.0, Finished(1, 0, {"x": 0.5}, ct_result(0.5))

    run(store, simulate, max_trials=2, stopper=Looking())
    assert seen == [{0: 2, 1: 1}, {0: 3, 1: 2}, {0: 4, 1: 3}]


def test_what_has_failed_by_accident_may_be_enqueued_again():
    store = store_of(Space((Int("x", 0, 9),)))
    store.claim(Claimed(0, 0, {"x": 7}), until=1e9)
    store.record(Failed(0, 0, {"x": 7}, "the disk was full"))
    made = run(store, curves(lambda values, epoch: values["x"]), max_trials=2, enqueued=({"x": 7},))
    assert made.claims == [(1, 0)]
    assert store.history()[1].values == {"x": 7}


def test_what_an_earlier_trial_came_to_ask_for_is_not_enqueued_again():
    store = store_of(Space((Int("x", 0, 9), Int("y", 0, 9))))
    made = run(store, curves(lambda values, epoch: values["x"]), max_trials=2, enqueued=({"x": 1, "y": 0},) * 2)
    assert [trial.suggested == {"x": 1, "y": 0} for trial in store.history()] == [True, False]
    again = run(store, curves(lambda values, epoch: values["x"]), max_trials=3, enqueued=({"y": 0, "x": 1},))
    assert store.history()[2].suggested != {"x": 1, "y": 0}
    assert made.done == Done("max_trials=2 is reached")
    assert again.done == Done("max_trials=3 is reached")
