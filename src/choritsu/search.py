"""The shell: the one loop that meets both store and oracle.

Read the history, ask what to do next, claim it, run it, write down what happens. Everything else is a
value or a contract.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from choritsu import racing
from choritsu.decisions import Answer, Continue, Decision, Done, Pause, Promote, Repeat, Start, Stop, Wait
from choritsu.errors import RedefinedError, StoreError, TooManyFailuresError
from choritsu.executors import Executor
from choritsu.following import Following
from choritsu.halting import Halt, leaving
from choritsu.jobs import Job
from choritsu.oracles import Budgeted, Oracle, Stopper, is_drawn_by_name
from choritsu.space import Space, Tried, combination
from choritsu.stores import Lease, Store
from choritsu.trials import (
    Claimed,
    Event,
    Failed,
    Finished,
    Grew,
    History,
    Interrupted,
    Lost,
    Objective,
    Refused,
    Reported,
    Status,
    Trial,
)
from choritsu.workers import has_restarted, is_alive, is_apart, is_gone, is_mine, me

#: A trial whose process dies this often is given up.
LOSSES = 3
#: For how many leases a process of this machine that lives may be without a word.
PATIENCE = 10
#: After this many refused combinations in a row there is probably nothing else.
REFUSALS = 200


class Clock:
    """The time in seconds since 1970, and a way to let it pass.

    Example:
        >>> Clock().now() > 0
        True
    """

    def now(self) -> float:
        """Give the time."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Plan:
    """What a search is to do; immutable.

    Args:
        oracle: says what to try next.
        objective: what is optimised.
        seed: the seed of suggestions and trainings.
        directory: the search's own directory.
        max_trials: how many trials count in all, earlier runs included; None for as many as the oracle has.
        max_retries: how many further attempts a trial that raises is given.
        max_consecutive_failures: this many failed trials in a row stop the search.
        enqueued: values to try before the oracle is asked.
        override: definitions that replace the function's own.
        tune_new_entries: see `HyperParameters`.
        allow_new_entries: see `HyperParameters`.
        lease: for how many seconds a silent worker of another machine is believed to be alive; one of this machine
            that does live is given ten times as long.
        stopper: ends trials that are not worth going on with; None to let all run to their end.
        max_epochs_total: how many epochs are trained in all, earlier runs included; None for no limit.
        patience: after this many trials in a row that were no better than the best before them, the search ends.
        repeats: whether trials that may be the best are trained more than once.
        trial_time_limit: after how many seconds an attempt of a trial fails; None for no limit.
    """

    oracle: Oracle
    objective: Objective
    seed: int
    directory: Path
    max_trials: int | None = None
    max_retries: int = 0
    max_consecutive_failures: int = 3
    enqueued: tuple[Mapping[str, Any], ...] = ()
    override: Space = field(default_factory=Space)
    tune_new_entries: bool = True
    allow_new_entries: bool = True
    lease: float = 60.0
    stopper: Stopper | None = None
    max_epochs_total: int | None = None
    patience: int | None = None
    repeats: bool = False
    trial_time_limit: float | None = None

    def trial_directory(self, number: int) -> Path:
        """Give the place of a trial's own files."""
        return self.directory / "trials" / f"{number:04d}"

    def horizon(self, until: int | None) -> int | None:
        """Give for how many epochs the schedules of a trial with this budget are made; None where nobody says."""
        if not isinstance(self.oracle, Budgeted):
            return until
        return self.oracle.max_epochs if self.oracle.horizon == "full" else until


@dataclass(frozen=True)
class Resume:
    """Take up an interrupted trial once more."""

    trial: Trial


@dataclass(frozen=True)
class Enqueued:
    """Start a trial that a person asked for, with the budget of the one that the oracle would have started."""

    values: Mapping[str, Any]
    until: int | None = None


Step: TypeAlias = Decision | Repeat | Resume | Enqueued

#: Is told each event, and the history after it.
Watch: TypeAlias = Callable[[Event, History], None]


def next_step(history: History, plan: Plan) -> Step:
    """Say what to do next: what was interrupted, a repeat that is due, what was enqueued, what the oracle says.

    Example:
        >>> from choritsu.oracles import Random
        >>> plan = Plan(Random(), Objective("loss"), 0, Path("."), max_trials=0)
        >>> next_step(History(), plan)
        Done(reason='max_trials=0 is reached')
    """
    interrupted = history.having(Status.INTERRUPTED)
    if interrupted:
        return Resume(interrupted[0])
    again = racing.contender(history) if plan.repeats else None
    if again is not None:
        return Repeat(again)
    # Who is being trained once more counts with what it had before.
    step = _new_step(history.settled, plan)
    if plan.repeats and isinstance(step, Done):
        again = racing.contender(history, over=True)
    return step if again is None else Repeat(again)


def _new_step(history: History, plan: Plan) -> Step:
    if plan.patience is not None and _fruitless(history) >= plan.patience:
        return Done(f"{plan.patience} trials in a row were no better than the best before them (patience)")
    counted = len(history) - len(history.having(Status.REFUSED))
    full = plan.max_trials is not None and counted >= plan.max_trials
    enqueued = _left_of(plan.enqueued, history, plan.oracle) if plan.enqueued else []
    untried = f", and {len(enqueued)} of what was enqueued has not been tried" if enqueued else ""
    reached = Done(f"max_trials={plan.max_trials} is reached{untried}")
    budgeted = isinstance(plan.oracle, Budgeted)
    if full and not budgeted:
        return reached
    # Those that have begun may yet be promoted.
    decision = plan.oracle.suggest(replace(history, is_full=True) if full else history, len(history))
    if full:
        return reached if isinstance(decision, Start | Done) else _waited(decision, history)
    if enqueued and (isinstance(decision, Start | Done) or not budgeted):
        # What comes when all is done is trained to the end, as what it is compared with.
        last = plan.oracle.max_epochs if isinstance(plan.oracle, Budgeted) else None
        return Enqueued(enqueued[0], decision.until if isinstance(decision, Start) else last)
    return _waited(decision, history)


def _left_of(enqueued: Sequence[Mapping[str, Any]], history: History, oracle: Oracle) -> Sequence[Mapping[str, Any]]:
    """Give what was enqueued and not begun, nor trained to the end by another trial."""
    asked_for = {combination(trial.suggested) for trial in history if trial.enqueued}
    longest = {None, oracle.max_epochs} if isinstance(oracle, Budgeted) else None
    done = [trial for trial in history.having(Status.COMPLETED) if longest is None or trial.until in longest]
    tried = Tried(trial.values for trial in done)
    return [values for values in enqueued if combination(values) not in asked_for and not tried.covers(values)]


def _waited(decision: Decision, history: History) -> Decision:
    """Give a decision to wait only where there is something to wait for."""
    if isinstance(decision, Wait) and not history.having(Status.RUNNING):
        return Done("the oracle waits for a running trial, and none is running")
    return decision


def _fruitless(history: History) -> int:
    """Count the completed trials since the best one, in the order in which they first completed."""
    if history.best is None:
        return 0
    best = history.best
    return sum((trial.reached or 0.0, trial.number) > (best.reached or 0.0, best.number) for trial in history.completed)


class Search:
    """One run of a plan: claims trials, has them executed, and records what happens until nothing is left.

    Args:
        plan: what to do.
        store: where it is kept.
        executor: who runs it.
        watch: is told each event.
        idle: is told the history when there is nothing to do but to wait for other processes.
        clock: the time.
        heartbeat: whether to renew leases in the background while trials run.
        halt: is asked whether to leave before the end.
        time_limit: after how many seconds to leave; None for no limit.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        executor: Executor,
        *,
        watch: Watch = lambda event, history: None,  # noqa: ARG005
        idle: Callable[[History], None] = lambda history: None,  # noqa: ARG005
        clock: Clock | None = None,
        heartbeat: bool = True,
        halt: Halt | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._plan = plan
        self._store = store
        self._executor = executor
        self._watch = watch
        self._idle = idle
        self._clock = clock or Clock()
        self._worker = me(apart=executor.isolates)
        self._heartbeat = heartbeat
        self._held: dict[int, int] = {}
        self._history = store.history()
        #: With which there was nothing to start: an oracle may take its time to say so, and reports come often.
        self._awaited: History | None = None
        self._failures = 0
        self._refusals = 0
        self._too_many: TooManyFailuresError | None = None
        self._halt = halt or Halt()
        self._time_limit = time_limit
        # Only where somebody looks at them: a long search has told many epochs.
        follows = plan.stopper is not None or plan.max_epochs_total is not None
        self._following = Following(store, self._history) if follows else None
        #: Since when attempts of living processes have been without a word.
        self._silent: dict[tuple[int, int], float] = {}

    def run(self) -> Done:
        """Search until the plan is fulfilled.

        Returns:
            Why it ended.

        Raises:
            TooManyFailuresError: when too many trials failed in a row.
            FatalError: when the user's function demanded it.
            KeyboardInterrupt: when a person has stopped the search.
        """
        with (
            leaving(self._halt, self._time_limit, self._executor.interrupt),
            _Heartbeat(self._store, self._held, self._plan.lease, self._clock, active=self._heartbeat),
        ):
            try:
                self._is_spent()
                done = self._run()
            except KeyboardInterrupt:
                # Out of time, a trial that would not end its epoch was broken off.
                if self._halt.by_hand or self._halt.reason is None:
                    raise
                done = Done(self._halt.reason)
            finally:
                self._let_go()
        if self._halt.by_hand:
            raise KeyboardInterrupt
        return done

    def _run(self) -> Done:
        waiting = False
        while True:
            if self._too_many is not None:
                raise self._too_many
            done = self._fill()
            if self._executor.running:
                self._executor.wait(self._handle, seconds=1.0)
                waiting = False
            elif done is not None:
                return done
            else:
                if not waiting:
                    self._idle(self._store.history())
                waiting = True
                self._clock.sleep(0.2)

    def _let_go(self) -> None:
        """Set free what this search still holds; only an error leaves anything."""
        for number, attempt in list(self._held.items()):
            with suppress(StoreError):
                self._store.record(Interrupted(number, attempt, at=self._clock.now()))
        self._held.clear()

    def _fill(self) -> Done | None:
        """Start as many trials as fit; give the reason when nothing is left to start or to wait for."""
        while self._executor.free > 0:
            if self._halt.reason is not None:
                return Done(self._halt.reason)
            history = self._declare_lost()
            if history is self._awaited:
                return None
            match next_step(history, self._plan):
                case Resume(trial):
                    self._claim(_again(trial, trial.until), history)
                case Promote(number, until):
                    self._claim(_again(history[number], until), history)
                case Repeat(number):
                    trial = replace(history[number], executions=racing.asked(history[number]) + 1)
                    self._claim(_again(trial, trial.until), history)
                case Enqueued(values, until):
                    self._claim(Claimed(len(history), 0, values, enqueued=True, until=until), history)
                case Start(values, until):
                    self._claim(Claimed(len(history), 0, values, until=until), history)
                case Wait():
                    self._awaited = history
                    return None
                case Done() as done:
                    if not history.having(Status.RUNNING):
                        return done
                    # What another process is running may yet be lost, and is then ours to finish.
                    self._awaited = history
                    return None
        return None

    def _claim(self, claim: Claimed, history: History) -> None:
        now = self._clock.now()
        claim = replace(claim, worker=self._worker, at=now)
        if not self._store.claim(claim, until=now + self._plan.lease):
            return  # Another process was first: look again.
        self._held[claim.number] = claim.attempt
        if self._following is not None and claim.attempt > 0:
            # What a failed attempt has told counts no more.
            self._following.read(claim.number)
        self._tell(claim)
        failures = history[claim.number].failures if claim.attempt else 0
        self._executor.start(
            Job(
                number=claim.number,
                attempt=claim.attempt,
                given=claim.values,
                fill="default" if claim.enqueued else self._plan.oracle.fill,
                seed=self._plan.seed,
                directory=self._plan.trial_directory(claim.number),
                objective=self._plan.objective,
                known=history.space,
                override=self._plan.override,
                tune_new_entries=self._plan.tune_new_entries,
                allow_new_entries=self._plan.allow_new_entries,
                # A retry has another seed, and begins anew; what is trained once more has a score already.
                retries_left=0 if claim.executions is not None else self._plan.max_retries - failures,
                failures=failures,
                until=claim.until,
                horizon=self._plan.horizon(claim.until),
                executions=claim.executions,
                seconds=self._plan.trial_time_limit,
                by_name=is_drawn_by_name(self._plan.oracle),
            )
        )

    def _handle(self, event: Event) -> Answer:
        if isinstance(event, Lost):
            if event.found:
                # It cannot say so any more. Should something contradict what is known, the next attempt is told.
                with suppress(RedefinedError):
                    self._handle(Grew(event.number, tuple(parameter for parameter, _ in event.found)))
            # Whoever ends this process may end those beside it, too.
            event = replace(event, blamed=event.blamed and not self._halt.terminated)
            event = self._loss(self._store.history()[event.number], event)
        written = self._store.record(event)
        if isinstance(event, Finished | Failed | Refused | Interrupted | Lost):
            self._held.pop(event.number, None)
        if written:
            self._tell(event)
        if not written and isinstance(event, Reported | Finished):
            return Stop("another process has taken this trial over", taken=True)
        return self._answer(event) if isinstance(event, Reported) else Continue()

    def _is_spent(self) -> None:
        """Leave where as many epochs have been trained as were to be."""
        limit = self._plan.max_epochs_total
        if limit is not None and self._following is not None and self._following.epochs >= limit:
            self._halt.ask(f"max_epochs_total={limit} epochs are trained")

    def _answer(self, event: Reported) -> Answer:
        if self._following is not None:
            self._following.add(event)
            if self._following.is_due(now := self._clock.now()):
                # What others have begun since, too.
                self._history = self._store.history()
                self._following.catch_up(self._history, self._held, now)
        self._is_spent()
        if self._halt.reason is not None:
            return Pause()
        if self._plan.stopper is None or self._history[event.number].executions is not None or self._following is None:
            # Cut short, a repeat would make the mean of a trial worse that is among the best.
            return Continue()
        return self._plan.stopper.decide(self._history, self._following.told, event)

    def _tell(self, event: Event) -> None:
        # A report changes no trial, and comes often.
        if not isinstance(event, Reported):
            self._history = self._store.history()
        self._count(event)
        self._watch(event, self._history)

    def _count(self, event: Event) -> None:
        if isinstance(event, Failed | Refused) and self._history[event.number].executions is not None:
            # Nothing is lost but a repeat.
            return
        match event:
            case Finished():
                self._failures = self._refusals = 0
            case Refused():
                self._refusals += 1
                if self._refusals >= REFUSALS:
                    self._too_many = TooManyFailuresError(
                        f"{self._refusals} combinations in a row were refused, the last with: {event.message}. "
                        "Narrow the space, so that most of it makes sense"
                    )
            case Failed(final=True):
                self._refusals = 0
                self._failures += 1
                if self._failures >= self._plan.max_consecutive_failures:
                    many = "1 trial has" if self._failures == 1 else f"{self._failures} trials in a row have"
                    self._too_many = TooManyFailuresError(
                        f"{many} failed (max_consecutive_failed_trials="
                        f"{self._plan.max_consecutive_failures}), the last, trial {event.number}, with: "
                        f"{event.message}\n{self._how_to_go_on()}\n{event.traceback}".rstrip()
                    )
            case _:
                pass

    def _how_to_go_on(self) -> str:
        limit = self._plan.max_trials
        counted = len(self._history) - len(self._history.having(Status.REFUSED))
        if limit is not None and counted >= limit:
            return (
                f"What is finished is kept. Mend the cause, and run again with max_trials above {limit}, which failed "
                "trials have used up, or with overwrite=True to begin anew."
            )
        return "What is finished is kept: mend the cause and run again to go on."

    def _declare_lost(self) -> History:
        """Set free the trials of workers that are gone."""
        now = self._clock.now()
        for lease in self._store.leases().values():
            if self._held.get(lease.number) == lease.attempt:
                continue
            if self._is_lost(lease, now):
                # Who has merely fallen silent need not have died of its trial.
                blamed = not (is_apart(lease.worker) or has_restarted(lease.worker) or is_alive(lease.worker))
                lost = Lost(lease.number, lease.attempt, at=now, blamed=blamed)
                event = self._loss(self._store.history()[lease.number], lost)
                if self._store.record(event):
                    self._tell(event)
        return self._store.history()

    def _is_lost(self, lease: Lease, now: float) -> bool:
        """Tell whether nobody goes on with a trial: who lives on this machine may be asleep, or in a long call."""
        if is_gone(lease.worker):
            return True
        attempt = lease.number, lease.attempt
        if lease.until >= now:
            self._silent.pop(attempt, None)
            return False
        patience = PATIENCE if is_alive(lease.worker) and not is_mine(lease.worker) else 0
        return now - self._silent.setdefault(attempt, now) >= patience * self._plan.lease

    def _loss(self, trial: Trial, lost: Lost) -> Lost | Failed:
        """Give a trial up when its process has died too often without getting on."""
        if not lost.blamed:
            return lost
        epochs = len(self._store.reports(trial.number).get(trial.number, ()))
        losses = trial.losses + 1 if epochs <= trial.lost_at else 1
        if losses < LOSSES:
            return replace(lost, epochs=epochs)
        how = f" ({lost.message})" if lost.message else ""
        message = f"its process died {losses} times while running it{how}; it is given up"
        values = {**trial.suggested, **{parameter.name: value for parameter, value in lost.found}}
        return Failed(lost.number, lost.attempt, values, message, at=lost.at)


def _again(trial: Trial, until: int | None) -> Claimed:
    # What the function drew for itself the first time is the same when it is trained once more.
    values = {**trial.suggested, **trial.values} if trial.executions is not None else trial.suggested
    return Claimed(trial.number, trial.attempt + 1, values, trial.enqueued, until=until, executions=trial.executions)


class _Heartbeat:
    """Renews the leases of the trials held, from a thread of its own, while the block runs."""

    def __init__(self, store: Store, held: Mapping[int, int], lease: float, clock: Clock, *, active: bool) -> None:
        self._store = store
        self._held = held
        self._lease = lease
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="choritsu-heartbeat", daemon=True) if active else None

    def __enter__(self) -> None:
        if self._thread is not None:
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._lease / 4):
            for number, attempt in list(self._held.items()):
                try:
                    self._store.renew(number, attempt, self._clock.now() + self._lease)
                except Exception:  # noqa: BLE001  # whatever a store may raise
                    # The next beat tries again; should none succeed, the trial is run once more.
                    continue
