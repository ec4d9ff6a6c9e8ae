"""What a user's function holds while its trial runs."""

from __future__ import annotations

import numbers
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from choritsu.chance import derive
from choritsu.decisions import Answer, Continue, Pause, Stop
from choritsu.elsewhere import Translating
from choritsu.errors import FatalRuntimeError, FatalTypeError, ObjectiveError, ScheduleWarning, closest
from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import BEST, Job
from choritsu.reporting import Reports
from choritsu.space import canonical
from choritsu.states import Keeper, Progress, put_back, taken
from choritsu.stores import Packed, packed, save_checkpoint
from choritsu.trials import Event, Grew, Report, Reported, Result, Status

Clock: TypeAlias = Callable[[], float]

#: What says on which data a metric was measured.
SPLIT = re.compile(r"^(train|training|val|valid|validation|test|eval)[_/]")


class PausedError(BaseException):
    """Leaves a trial that is to be taken up again; no ``except Exception`` of a user's function catches it."""


def as_number(name: str, value: Any) -> float:
    """Read a metric: a number, or an array or tensor with a single element.

    Raises:
        TypeError: for anything else.

    Example:
        >>> as_number("loss", 1)
        1.0
    """
    if isinstance(value, numbers.Real):
        return float(value)
    if getattr(value, "size", None) == 1 or callable(getattr(value, "item", None)):
        try:
            return float(value.item() if callable(getattr(value, "item", None)) else value)
        except (TypeError, ValueError, RuntimeError):
            pass
    raise TypeError(f"the metric {name!r} must be a single number, got {value!r} ({type(value).__name__})")


#: What Optuna's trials have, and what takes its place.
_ELSEWHERE = {
    "params": "the values asked for so far are in trial.hyperparameters.values",
    "set_user_attr": "numbers are told by trial.report(...), and files go to trial.directory",
    "should_prune": "loop over trial.epochs(n), which ends where the trial is to end",
    **{
        name: f"the hp beside it answers: write hp.{asks}(...)"
        for name, asks in (("suggest_categorical", "Choice"), ("suggest_float", "Float"), ("suggest_int", "Int"))
    },
}


class RunningTrial(Translating):
    """A trial while it runs: its hyperparameters, its directory, and where its results are told.

    Keras Tuner's `Trial` as far as a running one goes. A function of (hp, trial) gets it as its second
    argument, and an overridden ``Tuner.run_trial`` as its first.

    Attributes:
        number: the trial's number, from 0.
        hyperparameters: the `hp` that answers with this trial's values.
        attempt: how many times the trial was begun before.
        budget: what `until` gives, for whom it does not matter that somebody has looked.
        horizon: how many epochs its schedules are made for; None where the training itself says it.
        executions: how often it is to have been trained in all, by this attempt; None for as often as all.
        stopped: whether it is to end here, what it has reached being its result.
        taken: whether it is to end here because another process goes on with it.
        pausing: whether it is to leave at once, to be taken up again.
        cut: whether the execution has left off at `until`, with more to train.
        paced: whether the training has asked how far it is to go.
        result: what came out, once it has ended.
    """

    _elsewhere = _ELSEWHERE

    def __init__(
        self,
        job: Job,
        hp: HyperParameters,
        emit: Callable[[Event], Answer],
        clock: Clock,
        seed: Callable[[int], None] = lambda seed: None,  # noqa: ARG005
    ) -> None:
        self.number = job.number
        self.hyperparameters = hp
        self.attempt = job.attempt
        self.objective = job.objective
        self.execution = 0
        self.reports = Reports(job.objective)
        self.budget = job.until
        self.horizon = job.horizon
        self.executions = job.executions
        self.stopped = False
        self.taken = False
        self.pausing = False
        self.cut = False
        self.paced = False
        self.result: Result | None = None
        #: Gives what was seen of the training besides what is reported, by name.
        self.observe: Callable[[], Mapping[str, float]] = dict
        self._job = job
        self._emit = emit
        self._clock = clock
        self._seed = seed
        self._announced = 0
        self._keepers: dict[int, Keeper] = {}
        self._resumable = False
        self._looped: set[int] = set()
        #: How many reports an execution had when a trainer began with it.
        self._fitted: dict[int, int] = {}
        #: The execution that `epochs` counts, and the objects whose states it keeps.
        self._held: tuple[int, Mapping[str, Any]] | None = None
        self._over = False
        #: The best epoch's state, where that is not on disk yet.
        self._best: Packed | None = None
        #: In a round of `epochs`, its epoch.
        self._round: int | None = None
        self._concluded: dict[int, Any] = {}

    @property
    def until(self) -> int | None:
        """After how many epochs, counted from its very beginning, it pauses; None for never."""
        self.paced = True
        return self.budget

    @property
    def trial_id(self) -> str:
        """The number as text of at least four digits."""
        return f"{self.number:04d}"

    @property
    def status(self) -> str:
        """RUNNING, and COMPLETED once it has ended, as Keras Tuner says it."""
        return (Status.RUNNING if self.result is None else Status.COMPLETED).value

    @property
    def score(self) -> float | None:
        """The score, once the trial has ended."""
        return None if self.result is None else self.result.score

    @property
    def metrics(self) -> Mapping[str, float]:
        """Every metric at the best epoch, averaged over executions, once the trial has ended."""
        return {} if self.result is None else self.result.metrics

    @property
    def best_step(self) -> int | None:
        """The best epoch, from 0, once the trial has ended."""
        return None if self.result is None else self.result.best_epoch

    @property
    def directory(self) -> Path:
        """A directory of this trial's own, made when first asked for."""
        self._job.directory.mkdir(parents=True, exist_ok=True)
        return self._job.directory

    @property
    def seed(self) -> int:
        """A seed in [0, 2**32) for this trial and execution, the same whenever the search is repeated.

        A trial that failed is tried again with another; one that was interrupted goes on with its own.
        """
        again = (self._job.failures,) if self._job.failures else ()
        return derive(self._job.seed, "training", self.number, self.execution, *again)

    @property
    def search_seed(self) -> int:
        """The seed of the whole search."""
        return self._job.seed

    @property
    def next_epoch(self) -> int:
        """The epoch, from 0, that the next `report` of this execution tells of: in a round of `epochs`, that of it."""
        if self._round is None or self.reports.has(self.execution, self._round):
            return self.reports.next_epoch(self.execution)
        return self._round

    def report(self, metrics: Mapping[str, Any] | None = None, /, *, epoch: int | None = None, **named: Any) -> None:
        """Tell the metrics of an epoch that has ended.

        Args:
            metrics: by name.
            epoch: which epoch, from 0; by default that of the round of `epochs`, or the one after the last reported.
            named: further metrics.

        Raises:
            TypeError: when a metric is not a number, or the epoch not a whole one.
            ValueError: when nothing is told, or the epoch was told already, also by an earlier call in the same round
                of `epochs`.

        Example:
            >>> def train(hp, trial):
            ...     for epoch in range(3):
            ...         trial.report(val_loss=1.0 / (epoch + 1))
        """
        if metrics is not None and not isinstance(metrics, Mapping):
            raise TypeError(f"report takes metrics by name, such as report(val_loss=0.3), got {metrics!r}")
        told = {**(metrics or {}), **named}
        if epoch is None:
            self._check_round()
        self._report(told, epoch)
        if self._round is None and self.reports.leads(self.reports[-1]):
            # In a round of `epochs` this is done at its end.
            self._keep_held()
        if self.pausing and not self._resumable and len(self.reports.of(self.execution)) > 1:
            # Nothing of it can be kept: the sooner it ends, the less is trained in vain. Who tells something for the
            # first time may have come to its end.
            raise PausedError

    def _report(self, told: Mapping[str, Any], epoch: int | None = None) -> None:
        numbers_told = self._filled(told)
        if not numbers_told:
            raise ValueError("at least one metric is to be reported or returned, such as report(val_loss=0.3)")
        epoch = self.next_epoch if epoch is None else operator.index(epoch)
        if epoch < 0:
            raise ValueError(f"epochs count from 0, got {epoch}")
        if self.reports.has(self.execution, epoch):
            raise ValueError(f"epoch {epoch} was reported already; leave epoch out to count by itself")
        for name, value in self.observe().items():
            numbers_told.setdefault(name, value)
        self.announce()
        if not self.reports:
            self._doubt_objective(numbers_told)
        report = Report(self.execution, epoch, numbers_told, self._clock())
        self.reports.add(report)
        match self._emit(Reported(self.number, self.attempt, report)):
            case Stop(taken=taken):
                self.stopped, self.taken = True, taken
            case Pause():
                self.pausing = True
            case Continue():
                pass

    def _check_round(self) -> None:
        """Refuse a second report of the same epoch: it would be held to be that of the next."""
        if self._round is not None and self.reports.has(self.execution, self._round):
            raise ValueError(
                f"epoch {self._round} was reported already; report once in each round of trial.epochs, and all that "
                "is known of it at once, as in report(loss=0.2, val_loss=0.3)"
            )

    def _doubt_objective(self, told: Mapping[str, float]) -> None:
        """Say at the first epoch that the objective seems to be misspelled; it may yet come with a later one."""
        for part in self.objective.measured:
            # Who reports the loss of every epoch may measure the val_loss of some.
            others = [name for name in told if SPLIT.sub("", name) != SPLIT.sub("", part.name)]
            close = None if part.name in told else closest(part.name, others)
            if close is not None:
                warnings.warn(
                    f"the first epoch was reported with {', '.join(told)} and without the objective {part.name!r}; "
                    f"is it {close!r} that is meant?",
                    stacklevel=4,
                )

    def _filled(self, told: Mapping[str, Any]) -> dict[str, float]:
        return self.objective.filled({str(name): as_number(name, value) for name, value in told.items()})

    # -- going on ----------------------------------------------------------------------------------

    def epochs(
        self, count: int | None = None, *, state: Mapping[str, Any] | None = None, every: int = 1
    ) -> Iterator[int]:
        """Count the epochs of a training that can be interrupted and goes on, bit for bit, where it was.

        Before each epoch all random numbers are seeded from the trial, the execution and the epoch; after it the
        state is saved. A trial that was stopped, or has used up its budget, leaves the loop.

        Args:
            count: how many epochs a whole training has; by default the largest budget of Hyperband or ASHA.
            state: by name, all that changes while training: objects with ``state_dict`` and ``load_state_dict``
                (modules, optimizers, schedulers), random generators, or nested dicts of these. Without it, an
                interrupted trial begins anew, and so does one whose state fits no more, as its function has changed.
            every: save after every so many epochs; seldomer by itself where saving would take more than a
                twentieth of the time.

        Yields:
            The epochs that are left, counted from 0.

        Raises:
            CheckpointError: when something in `state` has no state.
            FatalTypeError: when `state` is no dict.
            FatalRuntimeError: when the states of two trainings in one execution are to be kept.

        Example:
            >>> def train(hp, trial):
            ...     weight = 0.0
            ...     for epoch in trial.epochs(3):
            ...         weight += hp.Float("rate", 0.1, 1.0)
            ...         trial.report(loss=abs(1.0 - weight))
        """
        count = self.horizon if count is None else operator.index(count)
        if count is None or count < 1 or every < 1:
            raise ValueError(
                f"epochs and every are whole numbers of at least 1, got epochs({count!r}, every={every!r})"
            )
        # Other processes need not wait to know what there is to tune.
        self.announce()
        self.paced = True
        progress = Progress()
        if state is not None:
            self._check_state(state)
            progress = self.resume()
        if progress.ended:
            return
        if state is not None:
            self._held = self.execution, state
            if progress.state is not None:
                self._put_back(state, progress.state)
        last = count if self.budget is None else min(count, self.budget)
        for epoch in range(progress.epochs, last):
            self._seed(self.epoch_seed(epoch))
            told = len(self.reports)
            self._round = epoch
            try:
                yield epoch
            except GeneratorExit:
                # A `break` ends the epoch, too; an error is seen here only when the trial is over.
                self._keep_if_led(told, state)
                raise
            finally:
                self._round = None
            self._keep_if_led(told, state)
            if state is not None:
                final = self.pausing or epoch + 1 == last
                if final or (epoch + 1) % every == 0:
                    self.keep(epoch + 1, lambda: taken(state), at_once=final)
            if self.stopped:
                return
            if self.pausing:
                raise PausedError
        if state is not None:
            self._looped.add(self.execution)
        self.cut = self.leaves_off(last, complete=last == count)

    def _put_back(self, state: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
        """Put back what was saved; where it does not fit, the trial is left, to begin anew."""
        try:
            with self.stretching():
                put_back(state, kept)
        except Exception as error:  # whatever the objects raise
            warnings.warn(
                f"trial {self.trial_id} begins anew: what was saved of it does not fit what its function makes now "
                f"({type(error).__name__}: {error})",
                RuntimeWarning,
                stacklevel=3,
            )
            self._keeper.forget()
            # Not from here on: some of the objects may hold a part of what was saved.
            raise PausedError from error

    def _keep_if_led(self, told: int, state: Mapping[str, Any] | None) -> None:
        """Save a state as the best one, if one of the reports from number `told` on is the best so far."""
        if state is not None and not self._over and any(map(self.reports.leads, self.reports[told:])):
            self.keep_best(taken(state))

    def _keep_held(self) -> None:
        """Save the state of what this execution's `epochs` was given as the best one, now that its rounds are over."""
        if self._held is not None and self._held[0] == self.execution:
            self.keep_best(taken(self._held[1]))

    def leave(self) -> None:
        """Note that the function has been left, whatever becomes of the objects that it had."""
        self._over = True
        try:
            self._write_best()
        except OSError as error:
            warnings.warn(
                f"the best state of trial {self.trial_id} cannot be saved ({error}), and best_state() will not have it",
                RuntimeWarning,
                stacklevel=2,
            )

    def _check_state(self, state: Any) -> None:
        if not isinstance(state, Mapping):
            raise FatalTypeError(
                f"state is a dict by name, got {type(state).__name__}; write trial.epochs(..., state="
                '{"model": model, "optimizer": optimizer})'
            )
        if self.execution in self._looped:
            raise FatalRuntimeError(
                "trial.epochs(state=...) was called a second time in one training, and a trial keeps the state of one: "
                "count the epochs of all its phases in one loop, as in `for epoch in trial.epochs(pretrain + finetune, "
                "state=...)`; of several folds only those without a state can be counted one after the other"
            )
        # Before an epoch is trained in vain.
        taken(state)

    def resume_fit(self) -> Progress:
        """Do what `resume` does for a framework's trainer, of which an execution has one.

        Raises:
            FatalRuntimeError: the second time, but where the first has reported nothing.
        """
        told = len(self.reports.of(self.execution))
        if self._fitted.get(self.execution, told) != told:
            raise FatalRuntimeError(
                "a second training was begun with this trial, which keeps the state of one, and would take it for the "
                "first, gone on with: train what goes before, such as a pretraining, by a Trainer without the trial, "
                "or train all epochs by one"
            )
        progress = self.resume()
        self._fitted[self.execution] = len(self.reports.of(self.execution))
        return progress

    def resume(self) -> Progress:
        """Give how far this execution has come in earlier attempts, and take in what it reported by then.

        Whoever calls this puts the state back and goes on with epoch `Progress.epochs`.
        """
        self._resumable = self.paced = True
        progress = self._loaded()
        self.reports.put(self.execution, progress.reports)
        return progress

    def _loaded(self) -> Progress:
        progress = self._keeper.load()
        now = self._values()
        others = [name for name, value in progress.values.items() if now.get(name, value) != value]
        if not others:
            return progress
        told = ", ".join(f"{name} was {progress.values[name]} and is {now[name]}" for name in others)
        warnings.warn(
            f"trial {self.trial_id} begins anew: when it was left, {told}; its function has changed",
            RuntimeWarning,
            stacklevel=4,
        )
        self._keeper.forget()
        return Progress()

    def _values(self) -> dict[str, str]:
        return {name: canonical(value) for name, value in self.hyperparameters.asked.items()}

    def keep(self, epochs: int, state: Callable[[], Any], *, at_once: bool = False) -> None:
        """Save how far this execution has come.

        Args:
            epochs: how many epochs are done.
            state: gives what is needed to go on; only called when it is saved.
            at_once: whether to save also where that has been done a moment ago.
        """
        if at_once or self._keeper.due():
            self._save(lambda: Progress(epochs, False, state(), self.reports.of(self.execution), self._values()))

    def _save(self, made: Callable[[], Progress]) -> None:
        def save() -> Progress:
            # First, since what goes on from here does not come by the best epoch again.
            self._write_best()
            return made()

        self._keeper.save(save)

    def keep_best(self, state: Mapping[str, Any]) -> None:
        """Have the best epoch's state kept for ``tuner.best_state()``: on disk by the next state to go on from."""
        # Where another process goes on with the trial, that one keeps it.
        if not self.taken:
            self._best = packed(state)

    def _write_best(self) -> None:
        if self._best is not None and not self.taken:
            save_checkpoint(self.directory / BEST, self._best)
        self._best = None

    def leaves_off(self, epochs: int, *, complete: bool = False) -> bool:
        """Tell whether the trial, after so many epochs, has used up what it was given and may be promoted to more.

        Args:
            epochs: how many are done, counted from the trial's very beginning.
            complete: whether the training was to be no longer. Where schedules are made for the epochs given so far,
                trainings are too, and a promoted one is to be longer.
        """
        if self.budget is None or epochs < self.budget:
            return False
        return not complete or self._is_as_long_as_its_schedules

    @contextmanager
    def stretching(self) -> Iterator[None]:
        """Have schedules put back without a warning where they were made for fewer epochs, as was asked for."""
        with warnings.catch_warnings():
            if self._is_as_long_as_its_schedules:
                warnings.simplefilter("ignore", ScheduleWarning)
            yield

    @property
    def _is_as_long_as_its_schedules(self) -> bool:
        return self.budget is not None and self.budget == self.horizon

    def end_execution(self) -> None:
        """Note that nothing of this execution is left to train, should the trial be taken up again."""
        self._save(lambda: Progress(self.next_epoch, True, None, self.reports.of(self.execution), self._values()))

    def has_ended(self) -> bool:
        """Tell whether an earlier attempt ended this execution; if so, take in what it reported."""
        return self._loaded().ended and self.resume().ended

    def cannot_resume(self) -> None:
        """Say that nothing of this execution can be kept; should it be interrupted, it begins anew."""
        self._resumable, self.paced = False, True
        self._keeper.forget()

    def epoch_seed(self, epoch: int) -> int:
        """Give a seed in [0, 2**32) for one epoch of this execution."""
        return derive(self.seed, "epoch", epoch)

    @property
    def _keeper(self) -> Keeper:
        if self.execution not in self._keepers:
            path = self._job.directory / "state" / f"execution-{self.execution}.safetensors"
            self._keepers[self.execution] = Keeper(path, self.seed)
        return self._keepers[self.execution]

    # -- results -----------------------------------------------------------------------------------

    def is_best(self, metrics: Mapping[str, Any]) -> bool:
        """Tell whether `metrics` would be the best report so far, over all executions; never without the objective."""
        told = {part.name: metrics[part.name] for part in self.objective.measured if part.name in metrics}
        return self.reports.would_lead(self._filled(told))

    def announce(self) -> None:
        """Tell the search of parameters that nobody knew of."""
        found = self.hyperparameters.discovered
        if len(found) > self._announced:
            self._emit(Grew(self.number, found[self._announced :]))
            self._announced = len(found)

    def conclude(self, returned: Any) -> bool:
        """Take in what a function returned for one execution.

        Args:
            returned: a number (the objective), a dict of metrics, a Keras History, or None where
                `report` has been called.

        Returns:
            Whether it scored the model otherwise than its epochs did.

        Raises:
            TypeError: for anything else, or None without a report.
        """
        if returned is not None and self.execution in self._concluded:
            given, told = self._concluded[self.execution]
            if returned is given and (returned is told or returned == told):
                # An overridden run_trial hands on what the training gave, as it was.
                return False
        self._concluded[self.execution] = returned, dict(returned) if isinstance(returned, Mapping) else returned
        reported = self.reports.of(self.execution)
        match returned:
            case None:
                if not reported and self.budget is not None and self.paced:
                    given = "1 epoch" if self.budget == 1 else f"{self.budget} epochs"
                    raise ObjectiveError(
                        f"the trial was given {given} in all, and nothing was reported in them; report at least in the "
                        "last one: if epoch % 5 == 4 or epoch + 1 == trial.until: trial.report(...)"
                    )
                if not reported:
                    raise TypeError(
                        "the function returned None and reported nothing; return a number or a dict of metrics, "
                        "or call trial.report(...)"
                    )
            case Mapping():
                return self._concluded_with(returned)
            case _ if isinstance(getattr(returned, "history", None), dict):
                if not reported:
                    self._replay(returned.history)
            case _:
                try:
                    score = as_number(self.objective.name, returned)
                except TypeError:
                    raise TypeError(
                        f"the function returned {returned!r} ({type(returned).__name__}); return a number, "
                        "a dict of metrics, or a Keras History"
                    ) from None
                if self.objective.parts:
                    wanted = ", ".join(f'"{part.name}": ...' for part in self.objective.parts)
                    raise TypeError(
                        f"the function returned {score!r} alone for several objectives; return {{{wanted}}}"
                    )
                return self._concluded_with({self.objective.name: score})
        return False

    def _concluded_with(self, told: Mapping[str, Any]) -> bool:
        metrics = self._filled(told)
        if self.reports.of(self.execution):
            scored = self.reports.conclude(self.execution, metrics)
        else:
            self._report(metrics)
            scored = self.objective.name in metrics
        if scored and any(map(self.reports.leads, self.reports.of(self.execution))):
            # What was scored is what the function has ended with.
            self._keep_held()
        return scored

    def _replay(self, history: Mapping[str, list[Any]]) -> None:
        if not history:
            raise ObjectiveError("the training history is empty: no epoch was trained")
        # With validation_freq, Keras lists the values of every n-th epoch only.
        epochs = max(len(values) for values in history.values())
        for epoch in range(epochs):
            told = {}
            for name, values in history.items():
                every = max(epochs // len(values), 1) if values else epochs + 1
                if (epoch + 1) % every == 0:
                    told[name] = values[(epoch + 1) // every - 1]
            self._report(told)
