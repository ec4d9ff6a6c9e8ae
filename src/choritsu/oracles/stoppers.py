"""Stoppers: which of the running trials are not worth going on with."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from choritsu.decisions import Continue, Stop
from choritsu.oracles.base import Curves
from choritsu.trials import History, Objective, Report, Reported, Status


@dataclass(frozen=True)
class MedianStopper:
    """Stops a trial whose best epoch is worse than what the median of the others has been on average.

    The others are the completed trials that came as far as this epoch, each with the mean of its epochs until then.
    Repeats and folds are compared with the same repeat or fold of the others: a fold that is hard is so for all. A
    value that is not finite counts as the worst.

    Args:
        grace_epochs: nothing is stopped before so many epochs.
        min_trials: nothing is stopped before so many others have come as far.

    Raises:
        ValueError: when an argument makes no sense.

    Source:
        Golovin et al., "Google Vizier", KDD 2017, section 3.2.2.

    Example:
        >>> from choritsu.trials import Trial
        >>> trials = (Trial(0, Status.COMPLETED), Trial(1, Status.RUNNING))
        >>> history = History(objective=Objective("loss"), trials=trials)
        >>> curves = {0: [Report(0, 0, {"loss": 2.0}), Report(0, 1, {"loss": 1.0})], 1: [Report(0, 1, {"loss": 1.6})]}
        >>> MedianStopper(grace_epochs=1, min_trials=1).decide(history, curves, Reported(1, 0, curves[1][0])).reason
        'after epoch 2 its best loss is 1.6; the median of 1 trials was 1.5 on average'
    """

    grace_epochs: int = 5
    min_trials: int = 5

    def __post_init__(self) -> None:
        _check(self.grace_epochs, "grace_epochs", 0)
        _check(self.min_trials, "min_trials", 1)

    def decide(self, history: History, curves: Curves, reported: Reported) -> Continue | Stop:
        """Compare a trial with those that have ended."""
        objective, report = history.objective, reported.report
        if report.epoch + 1 < self.grace_epochs or not objective.has_value(report.metrics):
            return Continue()
        means = [
            _mean_badness(objective, told)
            for trial in history
            if trial.status is Status.COMPLETED and trial.number != reported.number
            for told in [_told(objective, curves.get(trial.number, ()), report, whole=True)]
            if told
        ]
        if len(means) < self.min_trials:
            return Continue()
        best = _least_badness(objective, _told(objective, curves[reported.number], report))
        median = statistics.median(means)
        if best <= median:
            return Continue()
        return Stop(
            f"after epoch {report.epoch + 1} its best {objective.name} is {_shown(objective, best)}; the median of "
            f"{len(means)} trials was {_shown(objective, median)} on average"
        )


@dataclass(frozen=True)
class ASHAStopper:
    """Stops a trial that is not among the best of those that have come as far, at epochs ever farther apart.

    After `min_epochs`, and each time the number of epochs has grown by `factor`, a trial goes on if its best epoch is
    among the best one in `factor`, rounded up, of all that have come there so far; it never waits for others. Of
    equal ones all go on. Repeats and folds are compared with the same repeat or fold of the others. A value that is
    not finite counts as the worst.

    Args:
        min_epochs: nothing is stopped before so many epochs.
        factor: one in so many goes on.

    Raises:
        ValueError: when an argument makes no sense.

    Source:
        Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in its stopping form.

    Example:
        >>> history = History(objective=Objective("loss"))
        >>> curves = {0: [Report(0, 0, {"loss": 2.0})], 1: [Report(0, 0, {"loss": 3.0})]}
        >>> ASHAStopper().decide(history, curves, Reported(1, 0, curves[1][0])).reason
        'after epoch 1 its best loss, 3, is number 2 of 2; the best 1 go on'
    """

    min_epochs: int = 1
    factor: int = 3

    def __post_init__(self) -> None:
        _check(self.min_epochs, "min_epochs", 1)
        _check(self.factor, "factor", 2)

    def decide(self, history: History, curves: Curves, reported: Reported) -> Continue | Stop:
        """Compare a trial with all that have come as far."""
        objective, report = history.objective, reported.report
        if not self._is_rung(report.epoch + 1) or not objective.has_value(report.metrics):
            return Continue()
        own = _least_badness(objective, _told(objective, curves[reported.number], report))
        others = [
            _least_badness(objective, told)
            for number, reports in curves.items()
            if number != reported.number
            for told in [_told(objective, reports, report, whole=True)]
            if told
        ]
        size = 1 + len(others)
        share = -(-size // self.factor)
        rank = 1 + sum(other < own for other in others)
        if rank <= share:
            return Continue()
        return Stop(
            f"after epoch {report.epoch + 1} its best {objective.name}, {_shown(objective, own)}, is number {rank} of "
            f"{size}; the best {share} go on"
        )

    def _is_rung(self, epochs: int) -> bool:
        while epochs > self.min_epochs and epochs % self.factor == 0:
            epochs //= self.factor
        return epochs == self.min_epochs


def _told(objective: Objective, reports: Sequence[Report], at: Report, *, whole: bool = False) -> list[float]:
    """Give the objective of each epoch of the same execution until this one; none if it came less far, being `whole`.

    All trials pass here at each decision: of their reports, which stand in order, no more are looked at than count.
    """
    execution, epoch, name = at.execution, at.epoch, objective.name
    first = bisect_left(reports, (execution, 0), key=_place) if execution else 0
    end = first + epoch
    if end >= len(reports) or _place(reports[end]) != (execution, epoch):
        # It came less far, or did not report every epoch.
        end = bisect_left(reports, (execution, epoch), lo=first, key=_place)
        if whole and (end == len(reports) or reports[end].execution != execution):
            return []
    if end < len(reports) and _place(reports[end]) == (execution, epoch):
        end += 1
    return [report.metrics[name] for report in reports[first:end] if name in report.metrics]


def _place(report: Report) -> tuple[int, int]:
    return report.execution, report.epoch


def _mean_badness(objective: Objective, told: Sequence[float]) -> float:
    # One that is not finite makes the sum so.
    return objective.badness(statistics.fmean(told) if math.isfinite(sum(told)) else None)


def _least_badness(objective: Objective, told: Iterable[float]) -> float:
    finite = list(filter(math.isfinite, told))
    return objective.badness((min if objective.direction == "min" else max)(finite, default=None))


def _shown(objective: Objective, badness: float) -> str:
    if badness == math.inf:
        return "not finite"
    return f"{-badness if objective.direction == 'max' else badness:.4g}"


def _check(number: int, name: str, least: int) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {number!r}")
