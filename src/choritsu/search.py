"""The shell: the one loop that meets both store and oracle.

Read the history, ask what to do next, claim it, run it, write down what happens. Everything else is a
value or a contract.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from choritsu.decisions import Answer, Continue, Decision, Done, Start, Stop, Wait
from choritsu.errors import TooManyFailuresError
from choritsu.executors import Executor
from choritsu.oracles import Oracle
from choritsu.running import Job
from choritsu.space import Space, combination
from choritsu.stores import Store
from choritsu.trials import (
    Claimed,
    Event,
    Failed,
    Finished,
    History,
    Interrupted,
    Lost,
    Objective,
    Refused,
    Reported,
    Status,
    Trial,
)
from choritsu.workers import is_gone, me

#: A trial whose process dies this often is given up.
LOSSES = 3
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
        lease: for how many seconds a silent worker of another machine is believed to be alive.
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

    def trial_directory(self, number: int) -> Path:
        """Give the place of a trial's own files."""
        return self.directory / "trials" / f"{number:04d}"


@dataclass(frozen=True)
class Resume:
    """Take up an interrupted trial once more."""

    trial: Trial


@dataclass(frozen=True)
class Enqueued:
    """Start a trial that a person asked for."""

    values: Mapping[str, Any]


Step: TypeAlias = Decision | Resume | Enqueued

#: Is told each event, and the history after it.
Watch: TypeAlias = Callable[[Event, History], None]


def next_step(history: History, plan: Plan) -> Step:
    """Say what to do next: first what was interrupted, then what was enqueued, then what the oracle says.

    Example:
        >>> from choritsu.oracles import Random
        >>> plan = Plan(Random(), Objective("loss"), 0, Path("."), max_trials=0)
        >>> next_step(History(), plan)
        Done(reason='max_trials=0 is reached')
    """
    interrupted = history.having(Status.INTERRUPTED)
    if interrupted:
        return Resume(interrupted[0])
    counted = len(history) - len(history.having(Status.REFUSED))
    if plan.max_trials is not None and counted >= plan.max_trials:
        return Done(f"max_trials={plan.max_trials} is reached")
    asked_for = {combination(trial.suggested) for trial in history if trial.enqueued}
    for values in plan.enqueued:
        if combination(values) not in asked_for:
            return Enqueued(values)
    decision = plan.oracle.suggest(history, len(history))
    if isinstance(decision, Wait) and not history.having(Status.RUNNING):
        return Done("the oracle waits for a running trial, and none is running")
    return decision


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
    ) -> None:
        self._plan = plan
        self._store = store
        self._executor = executor
        self._watch = watch
        self._idle = idle
        self._clock = clock or Clock()
        self._worker = me()
        self._heartbeat = heartbeat
        self._held: dict[int, int] = {}
        self._history = store.history()
        self._failures = 0
        self._refusals = 0
        self._too_many: TooManyFailuresError | None = None

    def run(self) -> Done:
        """Search until the plan is fulfilled.

        Returns:
            Why it ended.

        Raises:
            TooManyFailuresError: when too many trials failed in a row.
            FatalError: when the user's function demanded it.
        """
        with _Heartbeat(self._store, self._held, self._plan.lease, self._clock, active=self._heartbeat):
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

    def _fill(self) -> Done | None:
        """Start as many trials as fit; give the reason when nothing is left to start or to wait for."""
        while self._executor.free > 0:
            history = self._declare_lost(self._store.history())
            match next_step(history, self._plan):
                case Resume(trial):
                    self._claim(Claimed(trial.number, trial.attempt + 1, trial.suggested, trial.enqueued), history)
                case Enqueued(values):
                    self._claim(Claimed(len(history), 0, values, enqueued=True), history)
                case Start(values):
                    self._claim(Claimed(len(history), 0, values), history)
                case Wait():
                    return None
                case Done() as done:
                    # What another process is running may yet be lost, and is then ours to finish.
                    return None if history.having(Status.RUNNING) else done
        return None

    def _claim(self, claim: Claimed, history: History) -> None:
        now = self._clock.now()
        claim = Claimed(claim.number, claim.attempt, claim.values, claim.enqueued, self._worker, now)
        if not self._store.claim(claim, until=now + self._plan.lease):
            return  # Another process was first: look again.
        self._held[claim.number] = claim.attempt
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
                retries_left=self._plan.max_retries - failures,
                failures=failures,
            )
        )

    def _handle(self, event: Event) -> Answer:
        if isinstance(event, Lost):
            event = _loss(self._store.history()[event.number], event)
        written = self._store.record(event)
        if isinstance(event, Finished | Failed | Refused | Interrupted | Lost):
            self._held.pop(event.number, None)
        if written:
            self._tell(event)
        elif isinstance(event, Reported):
            return Stop("another process has taken this trial over")
        return Continue()

    def _tell(self, event: Event) -> None:
        # A report changes no trial, and comes often.
        if not isinstance(event, Reported):
            self._history = self._store.history()
        self._count(event)
        self._watch(event, self._history)

    def _count(self, event: Event) -> None:
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
                    self._too_many = TooManyFailuresError(
                        f"{self._failures} trials in a row have failed (max_consecutive_failed_trials="
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

    def _declare_lost(self, history: History) -> History:
        """Set free the trials of workers that are gone."""
        now = self._clock.now()
        for lease in self._store.leases().values():
            if self._held.get(lease.number) == lease.attempt:
                continue
            if lease.until < now or is_gone(lease.worker):
                history = self._store.history()
                event = _loss(history[lease.number], Lost(lease.number, lease.attempt, at=now))
                if self._store.record(event):
                    self._tell(event)
        return self._store.history()


def _loss(trial: Trial, lost: Lost) -> Lost | Failed:
    """Give a trial up when its process has died too often."""
    losses = trial.losses + 1
    if losses < LOSSES:
        return lost
    message = f"its process died {losses} times while running it; it is given up"
    return Failed(lost.number, lost.attempt, trial.suggested, message, at=lost.at)


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
                except OSError:
                    # The next beat tries again; should none succeed, the trial is run once more.
                    continue
