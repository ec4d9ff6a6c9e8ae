"""Virtual time: a thousand trials that run for hours, on many machines, in a second.

The clock jumps from event to event; the search, the oracle and the store are the real ones.

    >>> from choritsu.oracles import Random
    >>> from choritsu.space import Float, Space
    >>> history = run_search(
    ...     Random(seed=1),
    ...     Space((Float("rate", 1e-4, 1.0, sampling="log"),)),
    ...     curves(lambda values, epoch: abs(values["rate"] - 0.01) / (epoch + 1), epochs=10, seconds=60.0),
    ...     slots=4,
    ...     max_trials=20,
    ... )
    >>> len(history.completed), max(trial.ended for trial in history)  # 5 rounds of 10 minutes
    (20, 3000.0)
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias, final

from choritsu.decisions import Answer, Continue, Pause, Stop
from choritsu.errors import ObjectiveError, RedrawTrialError
from choritsu.executors import Handle
from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import Job
from choritsu.oracles import Oracle, Stopper
from choritsu.running import RunningTrial, as_number
from choritsu.search import Clock, Plan, Search
from choritsu.space import Space
from choritsu.stores import Identity, MemoryStore, Store
from choritsu.training import takes_trial
from choritsu.trials import (
    Event,
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
    result_of,
)
from choritsu.work import Perform, describe, filler, perform

#: What happens so many seconds after what came before it. An exception leaves the executor's `wait`, as an
#: order to stop the search does.
Happening: TypeAlias = tuple[float, Event | BaseException]

#: Tells a job's happenings in order, the outcome last. Without an outcome the job's process has died. To a
#: generator each event's ``yield`` gives the search's answer to it.
Simulate: TypeAlias = Callable[[Job], Iterable[Happening]]

#: How long an epoch takes, in seconds: a number, or one for each job.
Seconds: TypeAlias = float | Callable[[Job], float]


@final
class VirtualClock(Clock):
    """A clock that stands still until somebody sleeps.

    Args:
        at: the time it shows at first, in seconds since 1970.

    Example:
        >>> clock = VirtualClock()
        >>> clock.sleep(3600.0)
        >>> clock.now()
        3600.0
    """

    def __init__(self, at: float = 0.0) -> None:
        self._now = at

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def advance(self, until: float) -> None:
        """Let the time `until` come; it never goes back."""
        self._now = max(self._now, until)


@dataclass(order=True)
class _Due:
    """A job's next happening; the queue compares times, and `order` where they are equal."""

    at: float
    order: int
    job: Job
    what: Event | BaseException | None
    rest: Iterator[Happening]


@final
class VirtualExecutor:
    """An `Executor` of simulated jobs: a heap of (time, order, happening).

    One `wait` hands on one event, and moves the clock to its time. Events that happen at the same time come
    in the order in which they were announced. Outcomes and reports bear the virtual time.

    Args:
        slots: how many jobs run at once.
        simulate: tells what becomes of a job; see `curves` and `performed`.
        clock: share it with the `Search`.

    Raises:
        ValueError: when there are no slots.

    Example:
        A job that dies without a word after an hour; the executor says so.

        >>> clock = VirtualClock()
        >>> executor = VirtualExecutor(2, lambda job: [(3600.0, Reported(0, 0, Report(0, 0, {"loss": 1.0})))], clock)
        >>> executor.start(Job(0, 0, {}, "draw", 0, Path(), Objective("loss")))
        >>> events = []
        >>> def handle(event):
        ...     events.append(event)
        ...     return Continue()
        >>> while executor.running:
        ...     executor.wait(handle, seconds=10_000.0)
        >>> [type(event).__name__ for event in events], clock.now()
        (['Reported', 'Lost'], 3600.0)
    """

    def __init__(self, slots: int, simulate: Simulate, clock: VirtualClock) -> None:
        if slots < 1:
            raise ValueError(f"slots must be at least 1, got {slots!r}")
        self._slots = slots
        self._simulate = simulate
        self._clock = clock
        self._orders = itertools.count()
        self._queue: list[_Due] = []

    @property
    def isolates(self) -> bool:
        return True

    @property
    def free(self) -> int:
        return self._slots - len(self._queue)

    @property
    def running(self) -> frozenset[int]:
        return frozenset(due.job.number for due in self._queue)

    def start(self, job: Job) -> None:
        # What it does first is found out in `wait`, where its exceptions belong.
        self._await(self._clock.now(), job, None, iter(()))

    def wait(self, handle: Handle, seconds: float) -> None:
        until = self._clock.now() + seconds
        while self._queue:
            if self._queue[0].at > until:
                self._clock.advance(until)
                return
            due = heapq.heappop(self._queue)
            self._clock.advance(due.at)
            try:
                if self._happen(due, handle):
                    return
            except BaseException:
                _let_go(due.rest)
                raise

    def interrupt(self) -> None:
        """End every job here; the search itself notes that they were interrupted."""
        self.close()

    def close(self) -> None:
        while self._queue:
            _let_go(self._queue.pop().rest)

    def _happen(self, due: _Due, handle: Handle) -> bool:
        """Carry out what is due; tell whether that was an event."""
        match due.what:
            case None:
                self._go_on(due.job, iter(self._simulate(due.job)), None)
                return False
            case BaseException() as error:
                raise error
            case Finished() | Failed() | Refused() | Interrupted() | Lost() as outcome:
                answer = handle(replace(outcome, at=due.at))
                # The job has ended, unless it has ended everything: an order to stop follows its outcome.
                match _next(due.rest, answer):
                    case (_, BaseException() as error):
                        raise error
                _let_go(due.rest)
            case Reported() as told:
                self._go_on(due.job, due.rest, handle(replace(told, report=replace(told.report, at=due.at))))
            case event:
                self._go_on(due.job, due.rest, handle(event))
        return True

    def _go_on(self, job: Job, rest: Iterator[Happening], answer: Answer | None) -> None:
        seconds, what = _next(rest, answer) or (0.0, Lost(job.number, job.attempt))
        self._await(self._clock.now() + seconds, job, what, rest)

    def _await(self, at: float, job: Job, what: Event | BaseException | None, rest: Iterator[Happening]) -> None:
        heapq.heappush(self._queue, _Due(at, next(self._orders), job, what, rest))


def _next(rest: Iterator[Happening], answer: Answer | None) -> Happening | None:
    try:
        return rest.send(answer) if isinstance(rest, Generator) else next(rest)
    except StopIteration:
        return None


def _let_go(rest: Iterator[Happening]) -> None:
    if isinstance(rest, Generator):
        rest.close()


def _pause(seconds: Seconds, job: Job) -> float:
    return seconds(job) if callable(seconds) else seconds


def curves(
    curve: Callable[[Mapping[str, Any], int], float | Mapping[str, float]],
    *,
    epochs: int | None = None,
    seconds: Seconds = 1.0,
) -> Simulate:
    """Simulate trials from a pure function of values and epoch.

    Exceptions mean what they mean in a user's function: `RedrawTrialError` refuses the combination, any
    other fails the trial. A trial ends early when it is answered `Stop`, pauses after the epochs of its budget, and
    goes on from where it was when it is taken up again, be it that it had paused or was broken off; what has
    failed begins anew. What this gives remembers the trials as a disk would: use one for each search, and the same
    one when the search is taken up again.

    Args:
        curve: gives the objective, or metrics by name, at an epoch counted from 0.
        epochs: how many epochs a whole training has; by default what the schedules are made for, else 1.
        seconds: how long each takes.

    Example:
        >>> simulate = curves(lambda values, epoch: 1.0 / (epoch + 1), epochs=2, seconds=60.0)
        >>> job = Job(0, 0, {}, "draw", 0, Path(), Objective("loss"))
        >>> [(seconds, type(event).__name__) for seconds, event in simulate(job)]
        [(60.0, 'Reported'), (60.0, 'Reported'), (0.0, 'Finished')]
    """
    disk: dict[int, list[Report]] = {}
    stopped: set[int] = set()

    def simulate(job: Job) -> Generator[Happening, Answer | None, None]:
        values = _values(job)
        whole = (job.horizon or 1) if epochs is None else epochs
        if not job.attempt:
            disk.pop(job.number, None)
            stopped.discard(job.number)
        reports = disk.setdefault(job.number, [])
        last = whole if job.until is None else min(job.until, whole)
        try:
            for epoch in () if job.number in stopped else range(len(reports), last):
                told = curve(values, epoch)
                metrics = told if isinstance(told, Mapping) else {job.objective.name: told}
                numbers = {name: as_number(name, value) for name, value in metrics.items()}
                report = Report(0, epoch, job.objective.filled(numbers))
                answer = yield _pause(seconds, job), Reported(job.number, job.attempt, report)
                reports.append(report)
                if isinstance(answer, Pause):
                    yield 0.0, Interrupted(job.number, job.attempt)
                    return
                if isinstance(answer, Stop):
                    stopped.add(job.number)
                    break
            result = result_of(reports, job.objective)
        except RedrawTrialError as error:
            yield 0.0, Refused(job.number, job.attempt, values, str(error))
        except Exception as error:  # noqa: BLE001  # a user's function may raise anything
            del disk[job.number]
            message = str(error) if isinstance(error, ObjectiveError) else describe(error)
            yield 0.0, Failed(job.number, job.attempt, values, message, final=job.retries_left <= 0)
        else:
            yield 0.0, Finished(job.number, job.attempt, values, result)

    return simulate


def _values(job: Job) -> dict[str, Any]:
    """Ask for every parameter known, as a function that branches only on conditions does."""
    hp = HyperParameters(job.given, known=job.known, override=job.override, choose=filler(job))
    for parameter in job.known:
        if parameter.name not in hp:
            hp.ask(parameter)
    return hp.asked


class _Abandoned(BaseException):
    """The executor was closed while the job ran."""


def performed(work: Perform, *, seconds: Seconds = 1.0) -> Simulate:
    """Simulate trials by really doing their work, each in a thread of its own of which one runs at a time.

    Args:
        work: runs a job, emitting its events; it must not wait for other jobs.
        seconds: how much virtual time lies before each report.
    """

    def simulate(job: Job) -> Generator[Happening, Answer | None, None]:
        told: SimpleQueue[Event | BaseException | None] = SimpleQueue()
        answers: SimpleQueue[Answer | None] = SimpleQueue()

        def emit(event: Event) -> Answer:
            told.put(event)
            answer = answers.get()
            if answer is None:
                answers.put(None)
                raise _Abandoned
            return answer

        def run() -> None:
            try:
                work(job, emit)
            except BaseException as error:  # noqa: BLE001  # it is raised again where the search waits
                told.put(error)
            else:
                told.put(None)

        thread = threading.Thread(target=run, name=f"choritsu-virtual-{job.number}", daemon=True)
        thread.start()
        try:
            while (what := told.get()) is not None:
                answer = yield (_pause(seconds, job) if isinstance(what, Reported) else 0.0), what
                answers.put(answer or Continue())
        finally:
            answers.put(None)
            thread.join()

    return simulate


def played(function: Callable[..., Any], *, seconds: Seconds = 1.0) -> Simulate:
    """Simulate trials by calling a function of hp, or of (hp, trial), as a search does.

    Args:
        function: returns a score or metrics, or reports them.
        seconds: how much virtual time lies before each report.

    Example:
        >>> from choritsu.oracles import Grid
        >>> history = run_search(Grid(), Space(), played(lambda hp: hp.Int("x", 0, 4) ** 2))
        >>> [trial.values["x"] for trial in history]
        [0, 1, 2, 3, 4]
    """

    def train(trial: RunningTrial) -> None:
        arguments = (trial.hyperparameters, trial) if takes_trial(function) else (trial.hyperparameters,)
        trial.conclude(function(*arguments))

    # The executor puts the virtual time in the place of this one.
    return performed(partial(_perform, train), seconds=seconds)


def _perform(train: Callable[[RunningTrial], None], job: Job, emit: Callable[[Event], Answer]) -> None:
    perform(job, train, emit, lambda: 0.0)


def run_search(
    oracle: Oracle,
    space: Space,
    simulate: Simulate,
    *,
    slots: int = 1,
    objective: Objective | None = None,
    max_trials: int | None = None,
    max_consecutive_failures: int = 1_000_000,
    stopper: Stopper | None = None,
    seed: int = 0,
    store: Store | None = None,
    clock: VirtualClock | None = None,
) -> History:
    """Run a whole search in virtual time.

    Args:
        oracle: says what to try next.
        space: what is known from the start; empty when the functions simulated are to reveal it.
        simulate: what becomes of a trial.
        slots: how many trials run at once.
        objective: what is optimised; by default a loss.
        max_trials: how many trials count in all; None for as many as the oracle has.
        max_consecutive_failures: this many failed trials in a row stop the search.
        stopper: ends trials that are not worth going on with.
        seed: the seed of values that trials discover by themselves.
        store: where it is kept, to go on with an earlier search; by default in memory.
        clock: the time; by default one that begins at 0.

    Returns:
        Everything that was tried.

    Raises:
        TooManyFailuresError: when too many trials failed in a row.
    """
    store = MemoryStore() if store is None else store
    clock = VirtualClock() if clock is None else clock
    objective = objective or Objective("loss", "min")
    store.identify(Identity(objective, seed))
    if len(space):
        store.record(Grew(-1, space.parameters))
    # No directory can be made here: what is simulated leaves no files.
    plan = Plan(
        oracle,
        objective,
        seed,
        Path(os.devnull),
        max_trials=max_trials,
        max_consecutive_failures=max_consecutive_failures,
        stopper=stopper,
    )
    executor = VirtualExecutor(slots, simulate, clock)
    try:
        Search(plan, store, executor, clock=clock, heartbeat=False).run()
    finally:
        executor.close()
    return store.history()
