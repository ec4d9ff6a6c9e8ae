"""What a user's function holds while its trial runs."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from choritsu.chance import derive
from choritsu.decisions import Answer, Continue, Fill, Stop
from choritsu.errors import ObjectiveError
from choritsu.hyperparameters import HyperParameters
from choritsu.space import Space
from choritsu.trials import Event, Grew, Objective, Report, Reported, Status

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True)
class Job:
    """All that a worker needs to run one attempt of a trial; plain values only.

    Args:
        number: the trial's number.
        attempt: the attempt's number, from 0.
        given: the values suggested or enqueued.
        fill: where values come from for parameters that only this trial discovers.
        seed: the search's seed.
        directory: the trial's own directory; made when first used.
        objective: what is optimised.
        known: the parameters known when the trial was claimed.
        override: definitions that replace the function's own.
        tune_new_entries: see `HyperParameters`.
        allow_new_entries: see `HyperParameters`.
        retries_left: how many further attempts an error is worth.
        failures: how many attempts ended with an error before.
    """

    number: int
    attempt: int
    given: Mapping[str, Any]
    fill: Fill
    seed: int
    directory: Path
    objective: Objective
    known: Space = field(default_factory=Space)
    override: Space = field(default_factory=Space)
    tune_new_entries: bool = True
    allow_new_entries: bool = True
    retries_left: int = 0
    failures: int = 0


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


class RunningTrial:
    """A trial while it runs: its hyperparameters, its directory, and where its results are told.

    Keras Tuner's `Trial` as far as a running one goes. A function of (hp, trial) gets it as its second
    argument, and an overridden ``Tuner.run_trial`` as its first.

    Attributes:
        number: the trial's number, from 0.
        hyperparameters: the `hp` that answers with this trial's values.
        attempt: how many times the trial was begun before.
    """

    def __init__(self, job: Job, hp: HyperParameters, emit: Callable[[Event], Answer], clock: Clock) -> None:
        self.number = job.number
        self.hyperparameters = hp
        self.attempt = job.attempt
        self.objective = job.objective
        self.execution = 0
        self.reports: list[Report] = []
        self.stopped = False
        #: Gives what was seen of the training besides what is reported, by name.
        self.observe: Callable[[], Mapping[str, float]] = dict
        self._job = job
        self._emit = emit
        self._clock = clock
        self._announced = 0

    @property
    def trial_id(self) -> str:
        """The number as text of at least four digits."""
        return f"{self.number:04d}"

    @property
    def status(self) -> str:
        """RUNNING, as Keras Tuner says it."""
        return Status.RUNNING.value

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
        """The epoch, from 0, that the next `report` of this execution tells of."""
        return 1 + max((report.epoch for report in self.reports if report.execution == self.execution), default=-1)

    def report(self, metrics: Mapping[str, Any] | None = None, /, *, epoch: int | None = None, **named: Any) -> None:
        """Tell the metrics of an epoch that has ended.

        Args:
            metrics: by name.
            epoch: which epoch, from 0; by default the one after the last reported.
            named: further metrics.

        Raises:
            TypeError: when a metric is not a number, or the epoch not a whole one.
            ValueError: when nothing is told, or the epoch was told already.

        Example:
            >>> def train(hp, trial):
            ...     for epoch in range(3):
            ...         trial.report(val_loss=1.0 / (epoch + 1))
        """
        if metrics is not None and not isinstance(metrics, Mapping):
            raise TypeError(f"report takes metrics by name, such as report(val_loss=0.3), got {metrics!r}")
        told = {**(metrics or {}), **named}
        numbers_told = {str(name): as_number(name, value) for name, value in told.items()}
        if not numbers_told:
            raise ValueError("report needs at least one metric, such as report(val_loss=0.3)")
        epoch = self.next_epoch if epoch is None else operator.index(epoch)
        if epoch < 0:
            raise ValueError(f"epochs count from 0, got {epoch}")
        if any(report.execution == self.execution and report.epoch == epoch for report in self.reports):
            raise ValueError(f"epoch {epoch} was reported already; leave epoch out to count by itself")
        for name, value in self.observe().items():
            numbers_told.setdefault(name, value)
        self.announce()
        report = Report(self.execution, epoch, numbers_told, self._clock())
        self.reports.append(report)
        match self._emit(Reported(self.number, self.attempt, report)):
            case Stop():
                self.stopped = True
            case Continue():
                pass

    def is_best(self, metrics: Mapping[str, Any]) -> bool:
        """Tell whether `metrics`, the objective among them, would be the best report so far, over all executions."""
        name = self.objective.name
        value = as_number(name, metrics[name])
        return all(
            self.objective.better_than(value, report.metrics[name]) for report in self.reports if name in report.metrics
        )

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
        reported = [report for report in self.reports if report.execution == self.execution]
        match returned:
            case None:
                if not reported:
                    raise TypeError(
                        "the function returned None and reported nothing; return a number or a dict of metrics, "
                        "or call trial.report(...)"
                    )
            case Mapping():
                return self._conclude_with(returned, reported)
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
                return self._conclude_with({self.objective.name: score}, reported)
        return False

    def _conclude_with(self, metrics: Mapping[str, Any], reported: list[Report]) -> bool:
        name = self.objective.name
        told = [report.metrics[name] for report in reported if name in report.metrics]
        if told and name in metrics:
            score = as_number(name, metrics[name])
            if min(told, key=self.objective.badness) == score and len(metrics) == 1:
                # The best epoch, said once more: it stays that epoch.
                return False
            # Otherwise the last word belongs to what was returned.
            self._forget(name)
        self.report(metrics)
        return name in metrics

    def _forget(self, name: str) -> None:
        self.reports = [
            report
            if report.execution != self.execution
            else Report(
                report.execution, report.epoch, {k: v for k, v in report.metrics.items() if k != name}, report.at
            )
            for report in self.reports
        ]

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
            self.report(told)
