"""What came out of a search, as one immutable value: all that tables, pages and exports say is read off it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from choritsu.noise import Noise
from choritsu.report.importance import Importances, importance_of
from choritsu.space import Space
from choritsu.trials import RATE, History, Objective, Report, Status, Trial, epochs_in


@dataclass(frozen=True)
class Standing:
    """A completed trial in the order of some count, with the best score up to there.

    Args:
        trial: the trial.
        score: its score; where trials were repeated, what it is expected to score.
        best: the best of it and all before it.
    """

    trial: Trial
    score: float
    best: float


@dataclass(frozen=True)
class Curve:
    """One metric of one execution, epoch by epoch.

    Args:
        number: the trial's.
        execution: which repeat or fold, from 0.
        points: epoch, from 0, and value; a value may be nan or infinite.
    """

    number: int
    execution: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Summary:
    """A search and what came out of it.

    Args:
        history: its trials, space and objective.
        title: the project's name.
        directory: where the results lie.
        reports: the metrics of each epoch, by trial number, ordered by execution and epoch.
        settings: facts for people, such as the oracle's name and `max_trials`.
        created: when it began, in seconds since 1970; 0 where that is not known.
        models: how many models' weights are kept.
        model_bytes: how much room they take.

    Example:
        >>> from choritsu.trials import Claimed, Finished, Result
        >>> history = History(objective=Objective("loss")).after(Claimed(0, 0, {"x": 1}))
        >>> history = history.after(Finished(0, 0, {"x": 1}, Result(0.5, None, {}, 2, 0, 1, 3)))
        >>> summary = Summary(history, title="demo")
        >>> summary.epochs, summary.best.values
        (3, {'x': 1})
    """

    history: History
    title: str = "search"
    directory: str = ""
    reports: Mapping[int, tuple[Report, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    models: int = 0
    model_bytes: int = 0

    @property
    def objective(self) -> Objective:
        """What was optimised."""
        return self.history.objective

    @property
    def space(self) -> Space:
        """What could be tried."""
        return self.history.space

    @property
    def best(self) -> Trial | None:
        """The best completed trial, if there is one."""
        return self.history.best

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The completed trials, best first."""
        return self.history.completed

    @property
    def front(self) -> tuple[Trial, ...]:
        """The completed trials that no other one beats in one objective without losing in another."""
        return self.history.front

    @property
    def noise(self) -> Noise | None:
        """How much the same values score differently; None unless trials were repeated to find out."""
        return self.history.noise

    @property
    def expects(self) -> bool:
        """Whether something else is expected of trials than what they have scored."""
        return self.noise is not None and self.noise.deviation > 0.0

    @cached_property
    def failed(self) -> tuple[Trial, ...]:
        """The trials that failed, by number; also when they were to go on or to be trained once more."""
        return tuple(trial for trial in self.history if trial.status is Status.FAILED or trial.has_failed_later)

    @cached_property
    def partly_trained(self) -> frozenset[int]:
        """The numbers of the completed trials whose scores are those of a smaller budget than that of others."""
        deepest = {trial.number for trial in self.history.deepest}
        return frozenset(trial.number for trial in self.ranked if trial.number not in deepest)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all hyperparameters: the space's in its order, then others that trials hold."""
        named = [parameter.name for parameter in self.space]
        return tuple(dict.fromkeys([*named, *(name for trial in self.history for name in trial.values)]))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics: the objective first, the others by name, the learning rate after them."""
        found = {name for reports in self.reports.values() for report in reports for name in report.metrics}
        found.update(name for trial in self.ranked if trial.result for name in trial.result.metrics)
        return tuple(sorted(found, key=lambda name: (name != self.objective.name, name == RATE, name)))

    @cached_property
    def counts(self) -> Mapping[Status, int]:
        """How many trials stand where, for each status that occurs."""
        counted = Counter(trial.status for trial in self.history)
        return {status: counted[status] for status in _TOLD_IN_ORDER if counted[status]}

    def executions_of(self, trial: Trial) -> int:
        """Give how many executions of `trial` have begun to report."""
        seen = len({report.execution for report in self.reports.get(trial.number, ())})
        return max(seen, trial.result.executions if trial.result else 0)

    def epochs_of(self, trial: Trial) -> int:
        """Give how many epochs of `trial` were trained, over all executions."""
        return max(epochs_in(self.reports.get(trial.number, ())), trial.result.epochs if trial.result else 0)

    def length_of(self, trial: Trial) -> int:
        """Give how many epochs the longest execution of `trial` has."""
        reported = [report.epoch + 1 for report in self.reports.get(trial.number, ())]
        if reported or trial.result is None:
            return max(reported, default=0)
        return max(trial.result.best_epoch + 1, trial.result.epochs // max(trial.result.executions, 1))

    @cached_property
    def executions(self) -> int:
        """How many executions were run."""
        return sum(self.executions_of(trial) for trial in self.history)

    @cached_property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return sum(self.epochs_of(trial) for trial in self.history)

    @cached_property
    def epochs_in_full(self) -> int | None:
        """How many epochs the same trials would have taken, each trained to its end; None where nothing is cut short.

        A full training is as long as the largest budget; without budgets, where a stopper ends trials early, as long
        as the longest one was.
        """
        full = self.settings.get("max_epochs")
        if full is None and self.settings.get("stopper"):
            full = max(map(self.length_of, self.history), default=0)
        if not full:
            return None
        each = self.settings.get("executions_per_trial", 1)
        return sum(
            int(full) * (self.executions_of(trial) if each == "auto" else int(each))
            for trial in self.history
            if trial.status is Status.COMPLETED
        )

    @cached_property
    def seconds(self) -> float:
        """How long all trials together took that have ended."""
        return math.fsum(trial.seconds or 0.0 for trial in self.history)

    @cached_property
    def begun(self) -> float:
        """When the first trial started, in seconds since 1970."""
        return min((trial.started for trial in self.history), default=self.created)

    @cached_property
    def repeated(self) -> bool:
        """Whether some trial had more than one execution."""
        return any(self.executions_of(trial) > 1 for trial in self.history)

    @cached_property
    def importances(self) -> Importances:
        """How much each hyperparameter matters, and how the score depends on it."""
        return importance_of(self.history)

    @cached_property
    def told_importances(self) -> tuple[tuple[Objective, Importances], ...]:
        """The same for what trials are compared by: the score, or each objective of a Pareto front."""
        if not self.objective.pareto:
            return ((self.objective, self.importances),)
        return tuple((part, importance_of(self.history, part)) for part in self.objective.parts)

    def progress(self, by_time: bool = False) -> tuple[Standing, ...]:
        """Give the completed trials and the best score so far.

        Args:
            by_time: in the order in which they ended, instead of that of their numbers.
        """
        standings: list[Standing] = []
        for trial in sorted(self.ranked, key=lambda trial: (trial.ended or 0.0 if by_time else 0.0, trial.number)):
            # Where trials were repeated, the luckiest score is not the best.
            score = self.history.expected(trial)
            if score is not None:
                better = not standings or self.objective.better_than(score, standings[-1].best)
                standings.append(Standing(trial, score, score if better else standings[-1].best))
        return tuple(standings)

    def curves(self, metric: str) -> tuple[Curve, ...]:
        """Give the learning curves of `metric`, by trial number and execution."""
        curves: list[Curve] = []
        for number, reports in sorted(self.reports.items()):
            points: dict[int, list[tuple[int, float]]] = {}
            for report in reports:
                if metric in report.metrics:
                    points.setdefault(report.execution, []).append((report.epoch, report.metrics[metric]))
            curves += [Curve(number, execution, tuple(sorted(held))) for execution, held in sorted(points.items())]
        return tuple(curves)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str | None], ...]:
        """The metrics worth a chart each, in validation with the one in training beside it, if there is one.

        Example:
            >>> reports = {0: (Report(0, 0, {"loss": 1.0, "val_loss": 1.2, "lr": 0.1}),)}
            >>> Summary(History(objective=Objective("val_loss")), reports=reports).pairs
            (('val_loss', 'loss'), ('lr', None))
        """
        held = set(self.metrics)
        return tuple(
            (name, training if (training := name.removeprefix("val_")) != name and training in held else None)
            for name in self.metrics
            if f"val_{name}" not in held
        )

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Give one flat record a trial; hyperparameters are called ``hp.<name>``, metrics ``metric.<name>``.

        Epochs count from 0. A hyperparameter that the trial did not ask for is absent. Several objectives are among
        the metrics, and ``on_front`` tells whether the trial is on their Pareto front. Where trials were repeated, what
        they are expected to score is ``expected``.
        """
        front = {trial.number for trial in self.front} if self.objective.parts else set()
        return tuple(
            {
                "trial": trial.number,
                "status": str(trial.status),
                "score": trial.score,
                "spread": trial.result.spread if trial.result else None,
                "best_epoch": trial.best_step,
                "best_execution": trial.result.best_execution if trial.result else None,
                "executions": self.executions_of(trial),
                **({"expected": self.history.expected(trial)} if self.noise is not None else {}),
                "epochs": self.epochs_of(trial),
                "seconds": trial.seconds,
                "started": trial.started,
                "ended": trial.ended,
                "enqueued": trial.enqueued,
                "message": trial.message,
                **({"on_front": trial.number in front} if self.objective.parts else {}),
                **{f"hp.{name}": trial.values[name] for name in self.names if name in trial.values},
                **{f"metric.{name}": value for name, value in (trial.result.metrics if trial.result else {}).items()},
            }
            for trial in self.history
        )

    def epoch_rows(self) -> tuple[dict[str, Any], ...]:
        """Give one flat record an epoch of each execution; metrics are called ``metric.<name>``."""
        return tuple(
            {
                "trial": number,
                "execution": report.execution,
                "epoch": report.epoch,
                "at": report.at,
                **{f"metric.{name}": value for name, value in report.metrics.items()},
            }
            for number, reports in sorted(self.reports.items())
            for report in reports
        )


_TOLD_IN_ORDER = (Status.COMPLETED, Status.RUNNING, Status.INTERRUPTED, Status.FAILED, Status.REFUSED)
