"""The searches by name, with Keras Tuner's arguments."""

from __future__ import annotations

from typing import Any

from choritsu.oracles import GridSearchOracle, QuasiRandomSearchOracle, RandomSearchOracle
from choritsu.tuners.base import Tuner


class RandomSearch(Tuner):
    """Tries combinations drawn at random, never the same twice.

    Args:
        hypermodel: what to tune; see `Tuner`.
        objective: a metric's name, an `Objective`, or None when the function returns the number to make small.
        max_trials: how many trials count in all, earlier runs included.
        seed: of suggestions and trainings; 0 is a seed.
        hyperparameters: definitions that replace the function's own.
        tune_new_entries: whether what the function asks for beyond these is tuned, or keeps its default.
        allow_new_entries: whether it may ask for more than these.
        max_retries_per_trial: how many further attempts a trial that raises, or diverges, is given.
        max_consecutive_failed_trials: this many failed trials in a row stop the search.
        kwargs: what `Tuner` takes, such as `directory`, `project_name`, `executions_per_trial`, `overwrite`.

    Example:
        >>> import tempfile
        >>> tuner = RandomSearch(lambda hp: hp.Int("x", 0, 9), max_trials=10, seed=0, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> tuner.get_best_hyperparameters()[0].values
        {'x': 0}
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        limits = (hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial)
        oracle = RandomSearchOracle(objective, max_trials, seed, *limits, max_consecutive_failed_trials)
        super().__init__(oracle, hypermodel, **kwargs)


class GridSearch(Tuner):
    """Tries every combination once, the defaults first; the arguments are those of `RandomSearch`.

    A float without a step takes part with ten values. By default there is no limit on trials.

    Example:
        >>> import tempfile
        >>> tuner = GridSearch(lambda hp: hp.Int("x", 0, 2) + hp.Int("y", 0, 1), directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> len(tuner.history)
        6
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        limits = (hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial)
        oracle = GridSearchOracle(objective, max_trials, seed, *limits, max_consecutive_failed_trials)
        super().__init__(oracle, hypermodel, **kwargs)


class QuasiRandomSearch(Tuner):
    """Tries scrambled Sobol points, which cover the space more evenly than chance; arguments as `RandomSearch`.

    Example:
        >>> import tempfile
        >>> tuner = QuasiRandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=4, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> len(tuner.history)
        4
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        limits = (hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial)
        oracle = QuasiRandomSearchOracle(objective, max_trials, seed, *limits, max_consecutive_failed_trials)
        super().__init__(oracle, hypermodel, **kwargs)
