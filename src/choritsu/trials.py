"""What was tried and what came out: immutable values, and the events that make them up.

A trial is known by its number, counted from 0. It may take several *attempts* (the machine died, an
error was retried), each claimed by one worker, and holds one or more *executions* (repeats with other
seeds, or the folds of a cross-validation), each of which reports once per epoch.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, TypeAlias, cast, overload

from choritsu.errors import ObjectiveError, closest, did_you_mean
from choritsu.fronts import Point, ranks
from choritsu.noise import Noise, Sample
from choritsu.space import Combination, Parameter, Space, Tried, combination

Direction: TypeAlias = Literal["min", "max"]


class Status(StrEnum):
    """Where a trial stands."""

    RUNNING = "RUNNING"
    #: Its worker died or was interrupted, or it failed and is to be retried: it will be taken up again.
    INTERRUPTED = "INTERRUPTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    #: The function refused the combination; it does not count.
    REFUSED = "REFUSED"


# -- objectives ------------------------------------------------------------------------------------

_LARGER_IS_BETTER = frozenset(
    """
    accuracy acc binary_accuracy categorical_accuracy sparse_categorical_accuracy top_k_categorical_accuracy
    sparse_top_k_categorical_accuracy balanced_accuracy auc pr_auc roc_auc precision recall average_precision
    true_positives true_negatives f1 f1_score fbeta_score r2 r2_score iou io_u binary_io_u mean_io_u one_hot_io_u
    one_hot_mean_io_u binary_iou mean_iou one_hot_iou one_hot_mean_iou dice dice_score cosine_similarity
    pearson_correlation concordance_correlation precision_at_recall recall_at_precision
    sensitivity_at_specificity specificity_at_sensitivity matthews_correlation
    """.split()
)
_SMALLER_IS_BETTER = frozenset(
    """
    loss error mean_squared_error mse root_mean_squared_error rmse mean_absolute_error mae
    mean_absolute_percentage_error mape mean_squared_logarithmic_error msle logcosh log_cosh huber poisson
    kl_divergence kullback_leibler_divergence binary_crossentropy categorical_crossentropy
    sparse_categorical_crossentropy binary_focal_crossentropy categorical_focal_crossentropy
    hinge squared_hinge categorical_hinge false_positives false_negatives log_loss perplexity
    """.split()
)


def infer_direction(name: str) -> Direction:
    """Tell whether a metric is to be made small or large, where its name leaves no doubt.

    ``val_`` and ``weighted_`` prefixes and Keras' numbering (``auc_1``) are looked through, and the name
    of an output before ``_loss`` or ``_accuracy`` is too; scikit-learn's ``neg_`` makes a loss something to make large.

    Args:
        name: a metric's name as Keras or scikit-learn gives it.

    Returns:
        "min" or "max".

    Raises:
        ObjectiveError: when the name does not say.

    Example:
        >>> infer_direction("val_loss"), infer_direction("val_f1_score"), infer_direction("digit_accuracy")
        ('min', 'max', 'max')
    """
    core = re.sub(r"_\d+$", "", name.removeprefix("val_").removeprefix("weighted_"))
    if core.startswith("neg_"):
        # As scikit-learn turns losses round.
        return "max"
    if core in _LARGER_IS_BETTER or core.endswith("_accuracy"):
        return "max"
    if core in _SMALLER_IS_BETTER or core.endswith("_loss"):
        return "min"
    # A slip of the pen only: a score of one's own is not close to all that are called a score.
    close = closest(core, sorted(_LARGER_IS_BETTER | _SMALLER_IS_BETTER), cutoff=0.85)
    hint = f"; did you mean {name.replace(core, close)!r}?" if close else ""
    raise ObjectiveError(
        f"whether {name!r} should be small or large cannot be told from its name; "
        f'write Objective({name!r}, "min") or Objective({name!r}, "max"){hint}'
    )


@dataclass(frozen=True, repr=False)
class Objective:
    """What to optimise, and which way.

    Several objectives are one that has `parts`: their sum, to be made small, in which those to be made large count
    negatively. It is reported as a metric of its own beside them, so that a trial's best epoch, early stopping and
    promotions mean the same as with a single one. With `pareto`, trials are told by the front of what the parts are at
    the best epoch of their sum, and the sum only orders the trials of a front.

    Args:
        name: the name under which the metric is reported, such as "val_accuracy".
        direction: "min" or "max"; by default read from the name, where that is certain.
        parts: the objectives that it is the sum of; none for a single one. `as_objective` makes it of a list.
        pareto: whether trials are compared part by part.

    Raises:
        ObjectiveError: for an unknown direction, or a name that does not tell it; for parts that cannot be added.

    Example:
        >>> Objective("val_accuracy").better_than(0.9, 0.8)
        True
        >>> as_objective(["val_loss", "val_accuracy"]).get_value({"val_loss": 0.5, "val_accuracy": 0.75})
        -0.25
    """

    name: str
    direction: Direction = None  # type: ignore[assignment]  # replaced by what the name says
    parts: tuple[Objective, ...] = ()
    pareto: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ObjectiveError(f"an objective needs the name of a metric, got {self.name!r}")
        if self.direction is None:
            object.__setattr__(self, "direction", infer_direction(self.name))
        if self.direction not in ("min", "max"):
            raise ObjectiveError(f'direction must be "min" or "max", got {self.direction!r}')
        if self.parts:
            self._check_parts()
        elif self.pareto:
            raise ObjectiveError(f"pareto=True compares at least two objectives, got {self.name!r} alone")

    def _check_parts(self) -> None:
        names = [part.name for part in self.parts]
        if len(names) < 2 or len({*names, self.name}) <= len(names) or any(part.parts for part in self.parts):
            raise ObjectiveError(
                f"several objectives must be at least two metrics with names of their own, none of them {self.name!r}, "
                f"got {', '.join(map(repr, names))}"
            )
        if self.direction != "min":
            raise ObjectiveError(
                f'the sum of several objectives is made small: direction="min", got {self.direction!r}'
            )

    @property
    def measured(self) -> tuple[Objective, ...]:
        """The objectives that a training has to report: the parts, or itself."""
        return self.parts or (self,)

    @property
    def formula(self) -> str:
        """What the value is made of.

        Example:
            >>> as_objective(["val_loss", "val_accuracy"]).formula
            'val_loss - val_accuracy'
        """
        text = "".join(f" {'-' if part.direction == 'max' else '+'} {part.name}" for part in self.parts)
        return text.removeprefix(" + ").lstrip() or self.name

    def better_than(self, a: float, b: float) -> bool:
        """Tell whether `a` is strictly better than `b`; a number that is not finite is worse than any that is."""
        if not math.isfinite(a) or not math.isfinite(b):
            return math.isfinite(a)
        return a > b if self.direction == "max" else a < b

    def has_value(self, logs: Mapping[str, float]) -> bool:
        """Tell whether `logs` holds the metric, or all parts of the sum."""
        return all(part.name in logs for part in self.measured)

    def get_value(self, logs: Mapping[str, float]) -> float:
        """Give the metric's value in `logs`, or the sum of the parts'."""
        if not self.parts:
            return logs[self.name]
        return math.fsum(-logs[part.name] if part.direction == "max" else logs[part.name] for part in self.parts)

    def filled(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Give `metrics` with the sum among them, where all its parts are there; a single objective adds nothing."""
        if not self.parts or not self.has_value(metrics):
            return dict(metrics)
        return {**metrics, self.name: self.get_value(metrics)}

    def point(self, metrics: Mapping[str, float]) -> Point:
        """Give what is measured as coordinates that are better the smaller they are; infinite where there is none."""
        return tuple(part.badness(metrics.get(part.name)) for part in self.measured)

    def badness(self, score: float | None) -> float:
        """Give a number that is smaller the better `score` is; infinite where there is none."""
        if score is None or not math.isfinite(score):
            return math.inf
        return -score if self.direction == "max" else score

    def __repr__(self) -> str:
        several = f", parts={self.parts!r}, pareto={self.pareto!r}" if self.parts else ""
        return f"Objective(name={self.name!r}, direction={self.direction!r}{several})"

    def __str__(self) -> str:
        if self.parts:
            return f"[{', '.join(map(str, self.parts))}]{' with pareto=True' if self.pareto else ''}"
        return f'Objective(name="{self.name}", direction="{self.direction}")'


#: The name of the sum of several objectives, Keras Tuner's.
SEVERAL = "multi_objective"

#: The objective of a search that was given none: the number that the function returns, made small.
DEFAULT_OBJECTIVE = Objective("default_objective", "min")


def as_objective(objective: Any, pareto: bool = False) -> Objective:
    """Read an objective as users write it.

    Args:
        objective: a metric's name, an `Objective`, None, or a list of names and objectives, whose sum it is.
        pareto: whether trials are compared by each objective of the list, not by the sum.

    Raises:
        ObjectiveError: when it is none of these, or a direction is uncertain.

    Example:
        >>> as_objective("val_loss")
        Objective(name='val_loss', direction='min')
    """
    if isinstance(objective, list | tuple) and objective:
        parts = tuple(map(as_objective, objective))
        if len(parts) > 1:
            return Objective(SEVERAL, "min", parts, pareto)
        objective = parts[0]
    if pareto:
        return replace(as_objective(objective), pareto=True)
    match objective:
        case None:
            return DEFAULT_OBJECTIVE
        case Objective():
            return objective
        case str():
            return Objective(objective)
    # An Objective of another library says the same thing under the same names.
    name, direction = getattr(objective, "name", None), getattr(objective, "direction", None)
    if isinstance(name, str) and direction in ("min", "max"):
        return Objective(name, cast("Direction", direction))
    raise ObjectiveError(
        f'objective must be a metric\'s name, Objective(name, "min" or "max") or a list of these, got {objective!r}'
    )


# -- trials ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """The metrics of one epoch of one execution.

    Args:
        execution: which repeat or fold, from 0.
        epoch: which epoch, from 0.
        metrics: by name.
        at: when, in seconds since 1970.
    """

    execution: int
    epoch: int
    metrics: Mapping[str, float]
    at: float = 0.0


@dataclass(frozen=True)
class Result:
    """What a trial reached, computed from its reports by `result_of`.

    Args:
        score: the objective at each execution's best epoch, averaged over executions.
        spread: the standard deviation of that over executions (n - 1); None for a single one.
        metrics: every metric at the same epochs, averaged likewise.
        best_epoch: the best epoch of the best execution, from 0.
        best_execution: which execution that was, from 0.
        executions: how many there were.
        epochs: how many epochs were trained, over all executions.
    """

    score: float
    spread: float | None
    metrics: Mapping[str, float]
    best_epoch: int
    best_execution: int
    executions: int
    epochs: int


#: The metric under which the learning rate really used is kept with each epoch; Keras' callbacks log it so.
RATE = "learning_rate"


def result_of(reports: Sequence[Report], objective: Objective) -> Result:
    """Compute a trial's result: each execution counts with its best epoch.

    Raises:
        ObjectiveError: when the objective was never reported, or some execution never had a finite value.

    Example:
        >>> reports = [Report(0, epoch, {"val_loss": loss}) for epoch, loss in enumerate([0.9, 0.2, 0.6])]
        >>> result_of(reports, Objective("val_loss")).score
        0.2
    """
    if not reports:
        raise ObjectiveError(
            "nothing was reported: return a number or a dict of metrics, or call trial.report(...) once an epoch"
        )
    best: dict[int, Report] = {}
    last_seen: dict[int, float] = {}
    for report in reports:
        value = report.metrics.get(objective.name)
        if value is None:
            best.setdefault(report.execution, report)
            continue
        last_seen[report.execution] = value
        held = best.get(report.execution)
        if held is None or objective.better_than(value, held.metrics.get(objective.name, math.nan)):
            best[report.execution] = report
    names = sorted({name for report in reports for name in report.metrics})
    for execution, report in best.items():
        if execution not in last_seen:
            where = f" in execution {execution + 1} of {len(best)}" if last_seen else ""
            raise ObjectiveError(missing(objective, names, where))
        if not math.isfinite(report.metrics.get(objective.name, math.nan)):
            where = f" in execution {execution + 1} of {len(best)}" if len(best) > 1 else ""
            undefined = ", or no score is defined there, as for a fold with one class" if where else ""
            parts = {part.name: report.metrics.get(part.name, math.nan) for part in objective.parts}
            whose = [f"{name} was {value}" for name, value in parts.items() if not math.isfinite(value)]
            told = " and ".join(whose) or f"{objective.name} was {last_seen[execution]}"
            raise ObjectiveError(f"{told} and at no epoch finite{where}: the training diverged{undefined}")
    scores = {execution: report.metrics[objective.name] for execution, report in best.items()}
    winner = min(scores, key=lambda execution: objective.badness(scores[execution]))
    return Result(
        score=statistics.fmean(scores.values()),
        spread=statistics.stdev(scores.values()) if len(scores) > 1 else None,
        metrics={
            name: statistics.fmean(report.metrics[name] for report in best.values() if name in report.metrics)
            for name in names
            if name != RATE and any(name in report.metrics for report in best.values())
        },
        best_epoch=best[winner].epoch,
        best_execution=winner,
        executions=len(best),
        epochs=epochs_in(reports),
    )


def epochs_in(reports: Iterable[Report]) -> int:
    """Count the epochs that were trained by what was reported, over all executions; some may have told nothing.

    Example:
        >>> epochs_in([Report(0, epoch, {}) for epoch in (2, 5, 8)])
        9
    """
    return sum(reached_in(reports).values())


def reached_in(reports: Iterable[Report]) -> dict[int, int]:
    """Give, for each execution, how many epochs were trained by what was reported."""
    reached: dict[int, int] = {}
    for report in reports:
        reached[report.execution] = max(reached.get(report.execution, 0), report.epoch + 1)
    return reached


def missing(objective: Objective, names: Sequence[str], where: str = "") -> str:
    """Say that an objective was not reported, and what was."""
    names = [name for name in names if name != RATE]
    if objective.parts:
        untold = [part.name for part in objective.parts if part.name not in names]
        if untold:
            return missing(next(part for part in objective.parts if part.name == untold[0]), names, where)
        told = " and ".join(repr(part.name) for part in objective.parts)
        return f"{told} were never reported together{where}: tell them in one report, or return them as one dict"
    reported = ", ".join(names) or "none"
    if objective == DEFAULT_OBJECTIVE and names:
        return (
            f"there is no objective, and what was reported is {reported}{where}; say which of them counts, as in "
            f"objective={names[-1]!r}, or return a single number"
        )
    text = f"the objective {objective.name!r} was not among the metrics reported{where}: {reported}"
    return text + did_you_mean(repr(objective.name), map(repr, names))


@dataclass(frozen=True)
class Rung:
    """A budget that a trial has reached.

    Args:
        until: how many epochs that is, counted from the trial's beginning.
        score: what it had reached by then.
    """

    until: int
    score: float


@dataclass(frozen=True)
class Trial:
    """One combination of values and what became of it.

    Args:
        number: counted from 0 in the order of starting.
        status: where it stands.
        values: what the function asked for; until it has ended, what was suggested.
        suggested: what was suggested or enqueued, before the function had its say.
        enqueued: whether a person asked for it.
        attempt: the number of the latest attempt, from 0.
        failures: how many attempts ended with an error.
        losses: how many attempts in a row ended without a word at the same epoch, their own process gone.
        lost_at: how many epochs it had reported by the last of these.
        result: what it reached; None unless completed.
        message: why it failed or was refused, or why it neither went on beyond the last of its rungs nor was repeated.
        traceback: where, if an exception was the reason.
        started: when its first attempt began, in seconds since 1970.
        resumed: when its latest attempt began.
        ended: when its last attempt ended; None while it runs.
        until: after how many epochs its latest attempt was to pause; None where it trains in one go.
        rungs: the budgets that it has reached, in order.
        spent: how many seconds the attempts took that have ended, without those that died.
        reached: when it first completed.
        executions: how often it is to have been trained in all, by its latest attempt; None for as often as all.
    """

    number: int
    status: Status
    values: Mapping[str, Any] = field(default_factory=dict)
    suggested: Mapping[str, Any] = field(default_factory=dict)
    enqueued: bool = False
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    lost_at: int = 0
    result: Result | None = None
    message: str = ""
    traceback: str = ""
    started: float = 0.0
    resumed: float = 0.0
    ended: float | None = None
    until: int | None = None
    rungs: tuple[Rung, ...] = ()
    spent: float = 0.0
    reached: float | None = None
    executions: int | None = None

    def __str__(self) -> str:
        """Give a line for people.

        Example:
            >>> print(Trial(3, Status.COMPLETED, {"rate": 0.01}, result=Result(0.25, None, {}, 0, 0, 1, 1)))
            trial 0003, COMPLETED, score 0.25: rate=0.01
        """
        said = self.message.partition("\n")[0] if self.score is None else f"score {self.score:.6g}"
        line = ", ".join(filter(None, [f"trial {self.trial_id}", self.status.value, said]))
        values = ", ".join(
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value!r}"
            for name, value in self.values.items()
        )
        return f"{line}: {values}" if values else line

    @property
    def trial_id(self) -> str:
        """The number as text of at least four digits."""
        return f"{self.number:04d}"

    @property
    def score(self) -> float | None:
        """The result's score, if there is a result."""
        return None if self.result is None else self.result.score

    @property
    def missed(self) -> int | None:
        """The epoch that it was to go on to and failed before, where it stands with what it had reached until then."""
        reached = self.rungs[-1].until if self.rungs else 0
        in_vain = self.status is Status.COMPLETED and self.until is not None and self.until > reached
        return self.until if in_vain else None

    @property
    def has_failed_again(self) -> bool:
        """Whether it failed, or was refused, when it was trained once more, and stands with what it had before."""
        repeated = self.result is not None and self.executions is not None and self.executions > self.result.executions
        return self.status is Status.COMPLETED and repeated and bool(self.message or self.traceback)

    @property
    def has_failed_later(self) -> bool:
        """Whether it has completed, and then failed when it was to go on or to be trained once more."""
        return self.missed is not None or self.has_failed_again

    @property
    def is_repeating(self) -> bool:
        """Whether it has completed, and is being trained once more."""
        again = self.status in (Status.RUNNING, Status.INTERRUPTED)
        return again and self.executions is not None and self.result is not None

    @property
    def best_step(self) -> int | None:
        """The epoch, from 0, whose weights are kept."""
        return None if self.result is None else self.result.best_epoch

    @property
    def seconds(self) -> float | None:
        """How long its attempts took; what lies between them does not count, nor do those that died."""
        return None if self.ended is None else self.spent

    @cached_property
    def combination(self) -> Combination | None:
        """What an oracle must not suggest again; None where nothing is known to have been tried."""
        if self.status is Status.COMPLETED:
            return combination(self.values)
        if self.status is Status.REFUSED:
            return combination(self.values) if self.values else None
        if self.status is Status.FAILED and self.values and not self.traceback:
            # It ran to its end and diverged, so that it has asked for everything; or its process died each time with
            # what it had asked for by then.
            return combination(self.values)
        # What raised may have done so by accident before it asked for everything: only the same whole
        # combination is held to be a repetition. What asked for nothing yet would seem to cover everything.
        whole = {**self.suggested, **self.values}
        return combination(whole) if whole else None


@dataclass(frozen=True)
class History(Sequence[Trial]):
    """All trials of a search in the order of their numbers, read-only, with their space and objective.

    Example:
        >>> history = History(objective=Objective("loss"))
        >>> history = history.after(Claimed(0, 0, {"x": 1.0})).after(Reported(0, 0, Report(0, 0, {"loss": 2.0})))
        >>> history[0].status
        <Status.RUNNING: 'RUNNING'>
    """

    space: Space = field(default_factory=Space)
    objective: Objective = DEFAULT_OBJECTIVE
    trials: tuple[Trial, ...] = ()
    #: Whether as many trials have begun as may, so that only those can go on.
    is_full: bool = False

    def __repr__(self) -> str:
        best = f"; the best is {self.best}" if self.best is not None else ""
        return f"<History of {len(self)} trials, {len(self.completed)} completed{best}>"

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | Sequence[Trial]:
        return self.trials[index]

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def having(self, *statuses: Status) -> list[Trial]:
        """Give the trials with one of `statuses`."""
        return [trial for trial in self.trials if trial.status in statuses]

    @cached_property
    def completed(self) -> tuple[Trial, ...]:
        """The completed trials, best first; the earlier of two equal ones comes first.

        Where trials were repeated, by what they are expected to score (see `Noise`); one that is being repeated counts
        with what it had before. With a Pareto objective front by front, each in the order of the sum.
        """
        held = self.settled.having(Status.COMPLETED)
        rank = self._ranks if self.objective.pareto else {}
        return tuple(
            sorted(
                held,
                key=lambda trial: (
                    rank.get(trial.number, len(rank)),
                    self.expected_badness(trial),
                    self.objective.badness(trial.score),
                    trial.number,
                ),
            )
        )

    @cached_property
    def settled(self) -> History:
        """The same history, as if no completed trial were being trained once more."""
        if not any(trial.is_repeating for trial in self.trials):
            return self
        return replace(
            self,
            trials=tuple(
                replace(trial, status=Status.COMPLETED) if trial.is_repeating else trial for trial in self.trials
            ),
        )

    @cached_property
    def noise(self) -> Noise | None:
        """How much the same values score differently; None unless completed trials were trained once more."""
        again = any(trial.executions is not None for trial in self.trials)
        if not again or self.objective.pareto or any(trial.rungs for trial in self.trials):
            return None
        held = [trial.result for trial in self.settled.having(Status.COMPLETED) if trial.result is not None]
        return Noise.of(
            Sample(self.objective.badness(result.score), result.spread, result.executions) for result in held
        )

    def expected(self, trial: Trial) -> float | None:
        """Give what a completed trial is expected to score in the mean of many executions.

        Without repeats, that is its score.
        """
        if trial.score is None or self.noise is None:
            return trial.score
        return self.objective.badness(self.expected_badness(trial))

    def expected_badness(self, trial: Trial) -> float:
        """Give a number that is smaller the better a trial is expected to score; infinite where nothing is."""
        badness = self.objective.badness(trial.score)
        if self.noise is None or trial.result is None or math.isinf(badness):
            return badness
        return self.noise.expected(badness, trial.result.executions)

    @cached_property
    def deepest(self) -> tuple[Trial, ...]:
        """The completed trials whose scores are those of the largest budget, by number; all where none had budgets."""
        held = self.settled.having(Status.COMPLETED)
        longest = max(map(_trained, held), default=0.0)
        return tuple(trial for trial in held if _trained(trial) == longest)

    @cached_property
    def points(self) -> Mapping[int, Point]:
        """What the completed trials reached, by number: a coordinate an objective, better the smaller it is.

        Where trials had budgets, those count that have used up the largest.
        """
        return {
            trial.number: self.objective.point(trial.result.metrics)
            for trial in self.deepest
            if trial.result is not None
        }

    @cached_property
    def _ranks(self) -> Mapping[int, int]:
        return dict(zip(self.points, ranks(list(self.points.values())), strict=True))

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """The completed trials that no other one beats in one objective without losing in another: the Pareto front.

        Ordered by the first objective, best first.
        """
        held = [
            number for number, rank in self._ranks.items() if not rank and all(map(math.isfinite, self.points[number]))
        ]
        return tuple(self.trials[number] for number in sorted(held, key=lambda number: (self.points[number], number)))

    @property
    def best(self) -> Trial | None:
        """The best completed trial, if there is one."""
        return self.completed[0] if self.completed else None

    @cached_property
    def tried(self) -> Tried:
        """What has been tried, for oracles that must not repeat it."""
        return Tried.of(trial.combination for trial in self.trials if trial.combination is not None)

    def after(self, event: Event) -> History:
        """Give the history once `event` has happened: the one place where events become trials."""
        if isinstance(event, Grew):
            return replace(self, space=self.space.extended(event.parameters))
        if isinstance(event, Reported):
            return self
        if isinstance(event, Claimed) and event.attempt == 0:
            if event.number != len(self.trials):
                raise ValueError(f"trial {event.number} cannot follow {len(self.trials)} trials")
            return replace(self, trials=(*self.trials, _begun(event)))
        trials = list(self.trials)
        trials[event.number] = _moved(trials[event.number], event)
        return replace(self, trials=tuple(trials))

    def after_all(self, events: Iterable[Event]) -> History:
        """Give the history once all of `events` have happened; quick for thousands of them."""
        space, trials = self.space, list(self.trials)
        for event in events:
            match event:
                case Grew():
                    space = space.extended(event.parameters)
                case Reported():
                    pass
                case Claimed(attempt=0):
                    if event.number != len(trials):
                        raise ValueError(f"trial {event.number} cannot follow {len(trials)} trials")
                    trials.append(_begun(event))
                case _:
                    trials[event.number] = _moved(trials[event.number], event)
        return replace(self, space=space, trials=tuple(trials))


# -- events ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claimed:
    """A worker took the trial: a new one (attempt 0), an interrupted one once more, or one that goes on.

    `until` is the number of epochs, counted from the trial's beginning, after which it pauses; `executions` is how
    often it is then to have been trained in all, None for as often as all.
    """

    number: int
    attempt: int
    values: Mapping[str, Any]
    enqueued: bool = False
    worker: str = ""
    at: float = 0.0
    until: int | None = None
    executions: int | None = None


@dataclass(frozen=True)
class Grew:
    """A function asked for parameters that were not known; the trial that found them is named."""

    number: int
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Reported:
    """An epoch of an execution ended."""

    number: int
    attempt: int
    report: Report


@dataclass(frozen=True)
class Finished:
    """The attempt ran to its end; `values` is what the function asked for."""

    number: int
    attempt: int
    values: Mapping[str, Any]
    result: Result
    at: float = 0.0


@dataclass(frozen=True)
class Failed:
    """The attempt ended with an error; `final` when it is not to be retried."""

    number: int
    attempt: int
    values: Mapping[str, Any]
    message: str
    traceback: str = ""
    final: bool = True
    at: float = 0.0


@dataclass(frozen=True)
class Refused:
    """The function refused the combination; another is drawn at no cost."""

    number: int
    attempt: int
    values: Mapping[str, Any]
    message: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Interrupted:
    """The attempt was broken off on purpose, by Ctrl-C or a time limit; it will be taken up again."""

    number: int
    attempt: int
    at: float = 0.0


@dataclass(frozen=True)
class Lost:
    """The attempt's worker is gone without a word; it will be taken up again.

    `message` says how it went, where that is known; `epochs` how many epochs the trial had reported by then; `blamed`
    whether the trial itself may be the cause; `found` the parameters that it is known to have asked for and nobody had
    suggested, with their values.
    """

    number: int
    attempt: int
    at: float = 0.0
    message: str = ""
    epochs: int = 0
    blamed: bool = True
    found: tuple[tuple[Parameter, Any], ...] = ()


Outcome: TypeAlias = Finished | Failed | Refused | Interrupted | Lost
Event: TypeAlias = Claimed | Grew | Reported | Outcome


def _trained(trial: Trial) -> float:
    return trial.rungs[-1].until if trial.rungs else math.inf


def _begun(event: Claimed) -> Trial:
    return Trial(
        event.number,
        Status.RUNNING,
        values=event.values,
        suggested=event.values,
        enqueued=event.enqueued,
        started=event.at,
        resumed=event.at,
        until=event.until,
        executions=event.executions,
    )


def _moved(trial: Trial, event: Claimed | Outcome) -> Trial:
    if isinstance(event, Finished | Failed | Refused | Interrupted):
        trial = replace(trial, ended=event.at, spent=trial.spent + event.at - trial.resumed)
    match event:
        case Claimed():
            return replace(
                trial,
                status=Status.RUNNING,
                attempt=event.attempt,
                values=trial.suggested if trial.result is None else trial.values,
                message="",
                traceback="",
                resumed=event.at,
                ended=None,
                until=event.until,
                executions=event.executions,
            )
        case Finished(result=result):
            reached = () if trial.until is None else (Rung(trial.until, result.score),)
            return replace(
                trial,
                status=Status.COMPLETED,
                # Promoted, a training that had come to its own end is not run again, and nobody asks.
                values=event.values or trial.values,
                result=result,
                rungs=(*trial.rungs, *reached),
                reached=event.at if trial.reached is None else trial.reached,
            )
        case Failed():
            # What had reached a rung before keeps what it reached there.
            final = Status.FAILED if trial.result is None else Status.COMPLETED
            return replace(
                trial,
                status=final if event.final else Status.INTERRUPTED,
                values=event.values if trial.result is None else trial.values,
                failures=trial.failures + 1,
                message=event.message,
                traceback=event.traceback,
            )
        case Refused() if trial.result is not None:
            return replace(trial, status=Status.COMPLETED, message=event.message)
        case Refused():
            return replace(trial, status=Status.REFUSED, values=event.values, message=event.message)
        case Interrupted():
            return replace(trial, status=Status.INTERRUPTED)
        case Lost(blamed=False):
            return replace(trial, status=Status.INTERRUPTED, ended=event.at)
        case Lost():
            # Who dies again and again, and gets on in between, is killed by something else.
            again = trial.losses + 1 if event.epochs <= trial.lost_at else 1
            return replace(
                trial,
                status=Status.INTERRUPTED,
                losses=again,
                lost_at=event.epochs,
                message=event.message,
                ended=event.at,
            )
