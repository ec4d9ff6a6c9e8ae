"""A worker's side of a trial: run the user's function once, and turn whatever happens into events."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from choritsu.decisions import Answer, Stop
from choritsu.errors import (
    FailedTrialError,
    FatalError,
    FatalValueError,
    ObjectiveError,
    RedefinedError,
    RedrawTrialError,
    UnboundError,
)
from choritsu.frameworks.seeding import seed_everything
from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import Job
from choritsu.limits import Limit, OverdueError
from choritsu.running import PausedError, RunningTrial
from choritsu.space import Parameter, drawn
from choritsu.trials import Event, Failed, Finished, Interrupted, Lost, Refused, result_of

#: After so many seconds without a new one, seen at the second look, parameters are told of before there is any score.
QUIET = 1.0

#: How many characters of a traceback are kept.
LONGEST = 20_000

#: Trains one trial; what it returns has been told to the trial by then.
Train: TypeAlias = Callable[[RunningTrial], None]
Emit: TypeAlias = Callable[[Event], Answer]
Perform: TypeAlias = Callable[[Job, Emit], None]


@runtime_checkable
class Noting(Protocol):
    """What takes events, and also what may be all that is left of a trial whose process dies."""

    def note(self, parameter: Parameter, value: Any) -> None:
        """Take down a value that the running function was given, and nobody had suggested."""
        ...


def filler(job: Job) -> Callable[[Parameter], Any]:
    """Give the rule by which `job` finds values for parameters that nobody knew of."""
    if job.fill == "default":
        return lambda parameter: parameter.start
    if job.fill == "believe":
        return lambda parameter: parameter.believed if parameter.has_prior else drawn(job.seed, job.number, parameter)
    return lambda parameter: drawn(job.seed, job.number, parameter)


@contextlib.contextmanager
def _telling_early(trial: RunningTrial) -> Iterator[None]:
    """Tell of parameters as soon as no more are asked for: others, who wait to know of any, need not wait for a score.

    One that is asked for later comes as it does from another branch of the function. When that is depends on the clock:
    this is for searches to which it makes no difference.
    """
    over = threading.Event()

    def tell() -> None:
        before: tuple[Parameter, ...] = ()
        while not over.wait(QUIET):
            found = trial.hyperparameters.discovered
            if found and found == before:
                # Whatever is wrong with them, the trial itself is told when it comes to telling them.
                with contextlib.suppress(BaseException):
                    # Told twice, should the trial do so in this moment, they are the same.
                    trial.announce()
            before = found

    teller = threading.Thread(target=tell, name="choritsu_telling_early", daemon=True)
    try:
        teller.start()
        yield
    finally:
        over.set()
        if teller.ident is not None:
            teller.join(QUIET)


class _UntoldError(BaseException):
    """An event could not be told. No error of the user's function, so none that it may catch as one."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def perform(job: Job, train: Train, emit: Emit, clock: Callable[[], float]) -> RunningTrial | None:
    """Run one attempt of a trial and emit its events, the outcome last.

    Args:
        job: what to run.
        train: the user's function, made ready.
        emit: takes each event, and answers whether to go on.
        clock: gives the time in seconds since 1970.

    Returns:
        The trial, if it has ended with a result.

    Raises:
        FatalError: when the function wants the whole search to stop.
        RedefinedError: when the function contradicts a definition known from earlier trials.
        BaseException: what is not an error but an order, such as KeyboardInterrupt, and whatever `emit` raised:
            the trial is then interrupted, to be taken up again.
    """

    def tell(event: Event) -> Answer:
        try:
            return emit(event)
        except RedefinedError:
            raise
        except Exception as error:
            raise _UntoldError(error) from error

    try:
        return _attempt(job, train, tell, clock, emit.note if isinstance(emit, Noting) else None)
    except _UntoldError as error:
        untold = error.error
    raise untold


def _attempt(
    job: Job,
    train: Train,
    emit: Emit,
    clock: Callable[[], float],
    note: Callable[[Parameter, Any], None] | None = None,
) -> RunningTrial | None:
    fill = filler(job)

    def choose(parameter: Parameter) -> Any:
        value = fill(parameter)
        if note is not None:
            note(parameter, value)
        return value

    hp = HyperParameters(
        job.given,
        known=job.known,
        override=job.override,
        choose=choose,
        tune_new_entries=job.tune_new_entries,
        allow_new_entries=job.allow_new_entries,
    )
    limit = Limit(job.seconds, time.monotonic)

    def told(event: Event) -> Answer:
        with limit.telling():
            return emit(event)

    trial = RunningTrial(job, hp, told, clock, seed_everything)

    def failed(error: BaseException, *, final: bool, trace: bool = True) -> None:
        text = trace_of(error) if trace else ""
        plain = isinstance(error, ObjectiveError | FailedTrialError | OverdueError)
        message = str(error) if plain else describe(error)
        emit(Failed(job.number, job.attempt, hp.asked, message, text, final=final, at=clock()))

    try:
        for parameter in job.override:
            # Declared beforehand: the function may read them without asking.
            hp.ask(parameter)
        with _telling_early(trial) if job.apart and job.by_name and not len(job.known) else contextlib.nullcontext():
            try:
                with limit:
                    train(trial)
            finally:
                limit.end()
                trial.leave()
        trial.announce()
        result = result_of(trial.reports, job.objective)
    except RedrawTrialError as error:
        trial.announce()
        emit(Refused(job.number, job.attempt, hp.asked, str(error), at=clock()))
    except (FailedTrialError, OverdueError) as error:
        trial.announce()
        failed(error, final=True)
    except FatalError as error:
        failed(error, final=True)
        raise
    except UnboundError as error:
        # Only constant rates would do without: those would be all that is tried.
        failed(error, final=True)
        raise FatalValueError(str(error)) from error
    except RedefinedError as error:
        if job.known.named(error.name) and error.name not in hp.asked:
            # The search is to be told that its script has changed; the trial waits for the answer.
            emit(Interrupted(job.number, job.attempt, at=clock()))
            raise
        failed(error, final=True)
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything
        trial.announce()
        failed(error, final=job.retries_left <= 0, trace=not isinstance(error, ObjectiveError))
    except PausedError:
        emit(Interrupted(job.number, job.attempt, at=clock()))
    except BaseException as error:
        left: Event = Interrupted(job.number, job.attempt, at=clock())
        if isinstance(error, SystemExit):
            # As if the process had died: who does so at every attempt is given up.
            how = f"it called sys.exit({error.code!r})"
            asked = hp.asked
            found = tuple((one, asked[one.name]) for one in hp.space if one.name in asked and one.name not in job.given)
            left = Lost(job.number, job.attempt, at=clock(), message=how, found=found)
        with contextlib.suppress(_UntoldError):
            emit(left)
        raise
    else:
        match emit(Finished(job.number, job.attempt, hp.asked, result, at=clock())):
            case Stop(taken=True):
                return None
        trial.result = result
        return trial
    return None


def trace_of(error: BaseException) -> str:
    """Write an exception as Python does, from the user's function on: what called that is of no use to its author."""
    own, place = os.path.join(Path(__file__).parent, ""), error.__traceback__
    while place is not None and place.tb_frame.f_code.co_filename.startswith(own):
        place = place.tb_next
    text = "".join(traceback.format_exception(type(error), error, place or error.__traceback__)).rstrip()
    left_out = len(text) - LONGEST
    if left_out <= 0:
        return text
    # The beginning says where it was, the end what; a message may hold a whole array.
    return f"{text[: LONGEST // 2]}\n... {left_out} characters left out ...\n{text[-LONGEST // 2 :]}"


def describe(error: BaseException) -> str:
    """Say in one line what an exception is: its first three lines, which in Keras' errors hold the cause.

    Example:
        >>> describe(ValueError("no such layer"))
        'ValueError: no such layer'
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = " ".join(lines[:3])[:300]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
