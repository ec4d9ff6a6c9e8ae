"""How a trial is trained with scikit-learn: cross-validation, one report per fold."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from choritsu.chance import derive
from choritsu.errors import FatalTypeError, FatalValueError
from choritsu.folds import rows
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
        metrics: what is recorded besides: by name, functions (y_true, y_pred) -> float, or names of scorers.
        splitter: a scikit-learn splitter.
    """

    scoring: Any
    metrics: Mapping[str, Callable[[Any, Any], float] | str]
    splitter: Any

    @classmethod
    def of(cls, scoring: Any = None, metrics: Any = None, cv: Any = None) -> Scoring:
        """Read how an estimator is judged, as users write it.

        Args:
            scoring: as above.
            metrics: a function (y_true, y_pred) -> float or the name of a scorer, a list of such, or a dict of these
                by the names under which they are recorded.
            cv: a scikit-learn splitter, a list of (training indices, validation indices), a number of folds, or None
                for 5 shuffled folds.

        Raises:
            FatalTypeError: for what is none of these.
            FatalValueError: for a number below 2, an unknown scorer, or two metrics of one name.
        """
        if inspect.isfunction(scoring) and list(inspect.signature(scoring).parameters)[:2] == ["y_true", "y_pred"]:
            name = scoring.__name__
            raise FatalTypeError(
                f"scoring={name} takes (y_true, y_pred), and a scorer takes (estimator, X, y); "
                f"write scoring=sklearn.metrics.make_scorer({name}), or metrics={name} to record it besides"
            )
        if isinstance(scoring, str):
            _scorer(scoring, "scoring")
        elif scoring is not None and not callable(scoring):
            raise FatalTypeError(
                f"scoring is the name of a scorer, a callable (estimator, X, y) -> float, or None, got {scoring!r}; "
                "what is to be recorded besides goes to metrics"
            )
        return cls(scoring, _named(metrics), _splitter(cv))

    def scorer(self) -> Callable[..., float]:
        """Give the function (estimator, X, y, sample_weight=...) -> float."""
        if self.scoring is None:
            return lambda estimator, x, y, **weights: estimator.score(x, y, **weights)
        if callable(self.scoring):
            return self.scoring  # type: ignore[no-any-return]
        return _scorer(self.scoring, "scoring")

    def described(self) -> dict[str, str]:
        """Say how scores come about, the same in every process; functions of one name are told as one.

        Example:
            >>> Scoring.of("accuracy", cv=3).described()
            {'scoring': 'accuracy', 'cv': 'KFold(n_splits=3, random_state=1, shuffle=True)'}
        """
        return {"scoring": _scorer_named(self.scoring), "cv": _lasting(self.splitter)}


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


def _scorer(name: str, argument: str) -> Callable[..., float]:
    from sklearn.metrics import get_scorer

    try:
        return get_scorer(name)  # type: ignore[no-any-return]
    except ValueError as error:
        raise FatalValueError(f"{argument}={name!r}: {error}") from error


def _named(metrics: Any) -> dict[str, Callable[[Any, Any], float] | str]:
    if metrics is None:
        return {}
    if isinstance(metrics, Mapping):
        pairs = [(name, metric) for name, metric in metrics.items() if _checked(metric)]
    else:
        listed = [metrics] if callable(metrics) or isinstance(metrics, str) else metrics
        pairs = [(_name_of(metric), metric) for metric in listed if _checked(metric)]
    named: dict[str, Callable[[Any, Any], float] | str] = {}
    for name, metric in pairs:
        if not isinstance(name, str):
            raise FatalTypeError(f"metrics are recorded by name, got {name!r}")
        if name in named or name == SCORE:
            raise FatalValueError(
                f"two metrics would be recorded as {name!r}"
                + (", which is the name of what scoring gives" if name == SCORE else "")
                + "; define a function of another name for one of them"
            )
        named[name] = metric
    return named


def _checked(metric: Any) -> bool:
    if isinstance(metric, str):
        _scorer(metric, "metrics")
    elif not callable(metric):
        raise FatalTypeError(
            f"metrics are functions (y_true, y_pred) -> float with a name, or names of scorers, got {metric!r}"
        )
    return True


def _name_of(metric: Any) -> str:
    """Give the name of a metric, which may be a partial of one."""
    if isinstance(metric, str):
        return metric
    if isinstance(metric, functools.partial):
        return _name_of(metric.func)
    name = getattr(metric, "__name__", None)
    if not isinstance(name, str):
        raise FatalTypeError(
            "metrics are functions (y_true, y_pred) -> float with a name, names of scorers, or a dict of these by "
            f"name, got {metric!r}"
        )
    return name


def _splitter(cv: Any) -> Any:
    from sklearn.model_selection import KFold, check_cv

    if isinstance(cv, bool) or (isinstance(cv, Integral) and cv < 2):
        raise FatalValueError(f"cv must be a number of folds of at least 2, or a splitter, got {cv!r}")
    if cv is None or isinstance(cv, Integral):
        # Keras Tuner's.
        return KFold(5 if cv is None else int(cv), shuffle=True, random_state=1)
    if inspect.isclass(cv):
        raise FatalTypeError(f"cv is the class {cv.__name__}; give an instance, such as {cv.__name__}(5)")
    if hasattr(cv, "split") and not isinstance(cv, str):
        return check_cv(cv)
    folds = list(cv) if isinstance(cv, Iterable) and not isinstance(cv, str) else []
    if not folds or not all(map(_is_fold, folds)):
        raise FatalTypeError(
            "cv must be a number of folds, a scikit-learn splitter, or a list of (training indices, validation "
            f"indices), got {cv!r}"
        )
    return check_cv(folds)


def _is_fold(thing: Any) -> bool:
    """Tell whether this is two collections of indices, or of whether each sample belongs."""
    return hasattr(thing, "__len__") and len(thing) == 2 and all(hasattr(part, "__len__") for part in thing)


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
    functions = {name: metric for name, metric in scoring.metrics.items() if not isinstance(metric, str)}
    scorers = {name: _scorer(metric, "metrics") for name, metric in scoring.metrics.items() if isinstance(metric, str)}
    # A splitter that draws by chance draws the same for all trials, so that they are compared on the same folds.
    seed_everything(derive(trial.search_seed, "folds"))
    folds = [_indices(fold) for fold in copy.deepcopy(scoring.splitter).split(x, y, groups)]
    for fold, (train, test) in enumerate(folds):
        trial.execution = fold
        seed_everything(trial.seed)
        estimator = built(build, trial.hyperparameters)
        weights = None if sample_weight is None else rows(sample_weight, train)
        y_train, y_test = (None, None) if y is None else (rows(y, train), rows(y, test))
        x_test = rows(x, test)
        fitted = {} if weights is None else {"sample_weight": weights}
        estimator.fit(rows(x, train), y_train, **fitted)
        weighing = None if weights is None else rows(sample_weight, test)
        own = estimator.score if scoring.scoring is None else score
        told = {SCORE: score(estimator, x_test, y_test, **_weighing(own, weighing))}
        for name, scorer in scorers.items():
            # Every scorer of scikit-learn's has a place for weights, whatever its metric takes.
            by = getattr(scorer, "_score_func", scorer)
            told[name] = scorer(estimator, x_test, y_test, **_weighing(by, weighing, named=True))
        if functions:
            predicted = estimator.predict(x_test)
            for name, metric in functions.items():
                told[name] = metric(y_test, predicted, **_weighing(metric, weighing, named=True))
        trial.report(told)
        if trial.stopped:
            return


def _indices(parts: Any) -> tuple[Any, ...]:
    """Give what says of each sample whether it belongs as the indices of those that do; a list has no others."""
    import numpy as np

    arrays = [np.asarray(part) for part in parts]
    return tuple(np.flatnonzero(array) if array.dtype == bool else array for array in arrays)


def _weighing(function: Any, weights: Any, *, named: bool = False) -> dict[str, Any]:
    """Give a scorer's or metric's argument for sample weights, if there are any and it has a place for them.

    Args:
        function: the scorer or metric.
        weights: one a sample; None for none.
        named: whether the place is to have their name: what else is taken may be handed on to what does not take them.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    takes = any(item.name == "sample_weight" or (item.kind is item.VAR_KEYWORD and not named) for item in parameters)
    return {"sample_weight": weights} if takes and weights is not None else {}


def built(build: Callable[[HyperParameters], Any], hp: HyperParameters) -> Any:
    """Build an estimator.

    Raises:
        FatalTypeError: when the function gives something that cannot be fitted.
    """
    estimator = build(hp)
    if inspect.isclass(estimator):
        raise FatalTypeError(f"the model-building function returned the class {estimator.__name__}; return an instance")
    if not callable(getattr(estimator, "fit", None)):
        raise FatalTypeError(
            f"the model-building function returned {estimator!r} ({type(estimator).__name__}); "
            "return a scikit-learn estimator"
        )
    return estimator


def check_lengths(x: Any, **others: Any) -> None:
    """Refuse data of different numbers of samples, before any training.

    Args:
        x: samples.
        others: what else has one item a sample, by name; None where there is none.

    Raises:
        FatalValueError: when they differ.
    """
    for name, other in others.items():
        if other is not None and _count(x) != _count(other):
            raise FatalValueError(
                f"X has {_count(x)} samples and {name} has {_count(other)}; they must be the same number"
            )


def _count(data: Any) -> int:
    return int(data.shape[0]) if hasattr(data, "shape") else len(data)
