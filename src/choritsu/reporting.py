"""What a trial has reported while it runs: by execution and epoch, and what of it is the best so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import overload

from choritsu.trials import Objective, Report


class Reports(Sequence[Report]):
    """The reports of one trial, in the order in which they were told.

    Args:
        objective: by which one is better than another.

    Example:
        >>> told = Reports(Objective("loss", "min"))
        >>> for epoch, loss in enumerate([0.5, 0.25, 0.75]):
        ...     told.add(Report(0, epoch, {"loss": loss}))
        >>> told.next_epoch(0), [told.leads(report) for report in told]
        (3, [False, True, False])
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._reports: list[Report] = []
        #: The epochs that each execution has told of.
        self._epochs: dict[int, set[int]] = {}
        #: The badness of the best one, and how many are as good.
        self._best, self._equals = math.inf, 0

    @overload
    def __getitem__(self, index: int) -> Report: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Report]: ...
    def __getitem__(self, index: int | slice) -> Report | Sequence[Report]:
        return self._reports[index]

    def __len__(self) -> int:
        return len(self._reports)

    def __iter__(self) -> Iterator[Report]:
        return iter(self._reports)

    def of(self, execution: int) -> tuple[Report, ...]:
        """Give those of an execution."""
        return tuple(report for report in self._reports if report.execution == execution)

    def has(self, execution: int, epoch: int) -> bool:
        """Tell whether an epoch was reported."""
        return epoch in self._epochs.get(execution, ())

    def next_epoch(self, execution: int) -> int:
        """Give the epoch after the last one reported."""
        return 1 + max(self._epochs.get(execution, ()), default=-1)

    def add(self, report: Report) -> None:
        """Take in one more."""
        self._reports.append(report)
        self._epochs.setdefault(report.execution, set()).add(report.epoch)
        badness = self._badness(report.metrics)
        if badness < self._best:
            self._best, self._equals = badness, 1
        elif badness == self._best < math.inf:
            self._equals += 1

    def put(self, execution: int, reports: Iterable[Report]) -> None:
        """Put these in the place of an execution's."""
        kept = [report for report in self._reports if report.execution != execution]
        self._set([*kept, *reports])

    def leads(self, report: Report) -> bool:
        """Tell whether one of these is better than all others; never without the objective."""
        return self._equals == 1 and self._badness(report.metrics) == self._best

    def would_lead(self, metrics: Mapping[str, float]) -> bool:
        """Tell whether metrics are better than all that was reported; never without the objective."""
        return self._badness(metrics) < self._best or (
            self._objective.name in metrics and not any(self._objective.name in report.metrics for report in self)
        )

    def conclude(self, execution: int, metrics: Mapping[str, float]) -> bool:
        """Take in what was measured once an execution was over, and is no further epoch of it.

        The best score, said once more, stays that of its epoch; another one takes the place of all. What else there is
        belongs to the epoch that the result is of.

        Args:
            execution: one that has reported something.
            metrics: by name.

        Returns:
            Whether the execution is scored otherwise than its epochs were.
        """
        name, reports = self._objective.name, list(self.of(execution))
        told = [report.metrics[name] for report in reports if name in report.metrics]
        if told and name in metrics:
            if min(told, key=self._objective.badness) == metrics[name]:
                said = {name, *(part.name for part in self._objective.parts)}
                metrics = {key: value for key, value in metrics.items() if key not in said}
            else:
                reports = [replace(report, metrics=_without(name, report.metrics)) for report in reports]
        if metrics:
            scored = [place for place, report in enumerate(reports) if name in report.metrics]
            place = min(
                scored, key=lambda at: self._objective.badness(reports[at].metrics[name]), default=len(reports) - 1
            )
            reports[place] = replace(reports[place], metrics={**reports[place].metrics, **metrics})
        ended = iter(reports)
        self._set([next(ended) if report.execution == execution else report for report in self._reports])
        return name in metrics

    def _set(self, reports: Iterable[Report]) -> None:
        self._reports, self._epochs, self._best, self._equals = [], {}, math.inf, 0
        for report in reports:
            self.add(report)

    def _badness(self, metrics: Mapping[str, float]) -> float:
        name = self._objective.name
        return self._objective.badness(metrics[name]) if name in metrics else math.inf


def _without(name: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if key != name}
