"""How a trial is trained with scikit-learn: cross-validation, one report per fold."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from choritsu.chance import derive
from choritsu.errors import FatalTypeError, FatalValueError
from choritsu.folds import length, take
from choritsu.frameworks.seeding import seed_everything
from choritsu.hyperparameters import HyperParameters
from choritsu.running import RunningTrial

#: The name under which each fold's score is reported, as in Keras Tuner.
SCORE = "score"


@dataclass(frozen=True)
class Scoring:
    """How an estimator is judged.

    Args:
        scoring: the name of a scikit-learn scorer, a callable (estimator, X, y) -> float, or None for the
            estimator's own ``score``.
        metrics: further functions (y_true, y_pred) -> float, reported under their own names.
        cv: a scikit-learn splitter, a number of folds, or None for 5 shuffled folds.

    Raises:
        FatalValueError: when scikit-learn knows no scorer of that name.
    """

    scoring: Any = None
    metrics: tuple[Callable[[Any, Any], float], ...] = ()
    cv: Any = None

    def splitter(self) -> Any:
        """Give the splitter."""
        from sklearn.model_selection import KFold

        if self.cv is None or isinstance(self.cv, int):
            return KFold(self.cv or 5, shuffle=True, random_state=1)
        return self.cv

    def scorer(self) -> Callable[..., float]:
        """Give the function (estimator, X, y, sample_weight=...) -> float."""
        if self.scoring is None:
            return lambda estimator, x, y, **weights: estimator.score(x, y, **weights)
        if callable(self.scoring):
            return self.scoring  # type: ignore[no-any-return]
        from sklearn.metrics import get_scorer

        try:
            return get_scorer(self.scoring)  # type: ignore[no-any-return]
        except ValueError as error:
            raise FatalValueError(f"scoring={self.scoring!r}: {error}") from error

    def described(self) -> dict[str, str]:
        """Say how scores come about, the same in every process; functions of one name are told as one.

        Example:
            >>> Scoring("accuracy", cv=3).described()
            {'scoring': 'accuracy', 'cv': 'KFold(n_splits=3, random_state=1, shuffle=True)'}
        """
        return {"scoring": _scorer_named(self.scoring), "cv": _lasting(self.splitter())}


def _scorer_named(scoring: Any) -> str:
    if scoring is None:
        return "the estimator's own score"
    if isinstance(scoring, str):
        return scoring
    from sklearn.metrics import get_scorer, get_scorer_names

    # scikit-learn's own have a name, which outlives its versions.
    text = _lasting(scoring)
    return next((name for name in get_scorer_names() if repr(get_scorer(name)) == text), text)


def _lasting(thing: Any) -> str:
    """Write something without its place in memory, which is another one in every process."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))
    # Folds that are listed may be of millions.
    return text if len(text) <= 200 else f"{text[:100]} … ({derive(0, text):08x})"


def as_metrics(metrics: Any) -> tuple[Callable[[Any, Any], float], ...]:
    """Read `metrics` as users write it: one function, a list of them, or None."""
    if metrics is None:
        return ()
    return (metrics,) if callable(metrics) else tuple(metrics)


def cross_validate(
    trial: RunningTrial,
    build: Callable[[HyperParameters], Any],
    scoring: Scoring,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    groups: Any = None,
) -> None:
    """Fit a fresh estimator on each fold's training part, and report its scores on the other.

    Args:
        trial: the trial; each fold is one of its executions.
        build: the user's function.
        scoring: how to split and judge.
        x: samples; an array, sparse matrix or data frame.
        y: targets.
        sample_weight: weights for fitting and for scorers that take them, one a sample.
        groups: for splitters that keep groups together.
    """
    score = scoring.scorer()
    for fold, (train, test) in enumerate(scoring.splitter().split(x, y, groups)):
        trial.execution = fold
        seed_everything(trial.seed)
        estimator = built(build, trial.hyperparameters)
        weights: Sequence[Any] | None = take(sample_weight, train)
        x_test, y_test = take(x, test), take(y, test)
        fitted = {} if weights is None else {"sample_weight": weights}
        estimator.fit(take(x, train), take(y, train), **fitted)
        judged = estimator.score if scoring.scoring is None else score
        tested = {} if weights is None or not _takes_weights(judged) else {"sample_weight": take(sample_weight, test)}
        told = {SCORE: score(estimator, x_test, y_test, **tested)}
        if scoring.metrics:
            predicted = estimator.predict(x_test)
            told |= {_name_of(metric): metric(y_test, predicted) for metric in scoring.metrics}
        trial.report(told)


def _takes_weights(function: Any) -> bool:
    """Tell whether a scorer has a place for sample weights."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(item.name == "sample_weight" or item.kind is item.VAR_KEYWORD for item in parameters)


def built(build: Callable[[HyperParameters], Any], hp: HyperParameters) -> Any:
    """Build an estimator.

    Raises:
        FatalTypeError: when the function gives something that cannot be fitted.
    """
    estimator = build(hp)
    if not callable(getattr(estimator, "fit", None)):
        raise FatalTypeError(
            f"the model-building function returned {estimator!r} ({type(estimator).__name__}); "
            "return a scikit-learn estimator"
        )
    return estimator


def check_lengths(x: Any, y: Any) -> None:
    """Refuse samples and targets of different number, before any training.

    Raises:
        FatalValueError: when they differ.
    """
    rows = x.shape[0] if hasattr(x, "shape") else length(x)
    if y is not None and rows != length(y):
        raise FatalValueError(f"X has {rows} samples and y has {length(y)}; they must be the same number")


def _name_of(metric: Any) -> str:
    """Give the name of a metric, which may be a partial of one."""
    return getattr(metric, "__name__", None) or _name_of(metric.func)
