"""The searches by name, with Keras Tuner's arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from choritsu.earlier import precedents_of
from choritsu.oracles import (
    ASHAOracle,
    BayesianOptimizationOracle,
    GridSearchOracle,
    Horizon,
    HyperbandOracle,
    Oracle,
    Precedents,
    QuasiRandomSearchOracle,
    RandomSearchOracle,
)
from choritsu.tuners.base import Tuner
from choritsu.tuners.opening import project_place


class RandomSearch(Tuner):
    """Tries combinations drawn at random, never the same twice.

    Args:
        hypermodel: what to tune; see `Tuner`.
        objective: a metric's name, an `Objective`, a list of these whose sum counts (those to be made large
            negatively; see `pareto` of `Tuner`), or None when the function returns the number to make small.
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


class BayesianOptimization(Tuner):
    """Tries what a model of the trials so far expects the most of.

    Args:
        hypermodel: what to tune; see `Tuner`.
        objective: as for `RandomSearch`.
        max_trials: likewise.
        num_initial_points: how many trials are spread evenly before the model is asked; by default 4 to 8.
        alpha: taken because Keras Tuner has it; how noisy scores are is learned from them.
        beta: taken because Keras Tuner has it; the expected improvement needs no such weight.
        seed: of suggestions and trainings; 0 is a seed.
        hyperparameters: as for `RandomSearch`, and so are all that follow.
        tune_new_entries: likewise.
        allow_new_entries: likewise.
        max_retries_per_trial: likewise.
        max_consecutive_failed_trials: likewise.
        warm_start: earlier searches to learn from: directories of ours or of Keras Tuner's, tuners, Optuna studies, or
            a list of these; their spaces may differ. See `precedents_of`.
        kwargs: what `Tuner` takes.

    Example:
        >>> import tempfile
        >>> def loss(hp):
        ...     return (hp.Float("x", 0, 1) - 0.3) ** 2 + hp.Boolean("worse")
        >>> tuner = BayesianOptimization(loss, max_trials=15, seed=0, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> tuner.history.best.score < 0.001
        True
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        warm_start: Any = (),
        **kwargs: Any,
    ) -> None:
        limits = (hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial)
        model = (num_initial_points, alpha, beta)
        settings = BayesianOptimizationOracle(
            objective,
            max_trials,
            *model,
            seed,
            *limits,
            max_consecutive_failed_trials,
            precedents=(earlier := _others(precedents_of(warm_start), **kwargs)),
        )
        super().__init__(settings, hypermodel, **kwargs)
        if earlier and self.objective.pareto:
            raise ValueError(
                "warm_start has scores of one objective, which tell nothing of a front; leave out warm_start, or pareto"
            )


def _others(
    earlier: tuple[Precedents, ...],
    directory: str | os.PathLike[str] | None = None,
    project_name: str | None = None,
    overwrite: bool = False,
    **_: Any,
) -> tuple[Precedents, ...]:
    """Leave out the very search that is to begin or go on; Keras Tuner's in the same directory is another one."""
    place = project_place(directory, project_name)
    others = tuple(each for each in earlier if overwrite or Path(each.name).resolve() != place.resolve())
    if earlier and not others:
        raise ValueError(f"warm_start={str(place)!r} is this very search, whose trials count anyway; leave it out")
    return others


class Hyperband(Tuner):
    """Trains many trials a little, the best of them longer, and the best of those to the end.

    A promoted trial goes on from its last state, along the same learning-rate curve. For a Keras model ``epochs`` is
    then not an argument of ``search``; a function of (hp, trial) counts its epochs by ``trial.epochs(state=...)``.

    Args:
        hypermodel: what to tune; see `Tuner`.
        objective: as for `RandomSearch`.
        max_epochs: to how many epochs the best are trained.
        factor: one in so many goes on.
        hyperband_iterations: how often all brackets are run; None for without end.
        seed: of suggestions and trainings; 0 is a seed.
        hyperparameters: as for `RandomSearch`, and so are all that follow.
        tune_new_entries: likewise.
        allow_new_entries: likewise.
        max_retries_per_trial: likewise.
        max_consecutive_failed_trials: likewise.
        horizon: whether learning-rate schedules are made for `max_epochs` ("full") or for the epochs given so far
            ("rung").
        oracle: draws the values of new trials, by default at random; `oracles.BayesianOptimization()` learns from all
            rungs.
        kwargs: what `Tuner` takes.

    Source:
        Li et al., "Hyperband", JMLR 18 (2018), number 185; brackets and their order are Keras Tuner's.

    Example:
        >>> import random, tempfile
        >>> def train(hp, trial):
        ...     for epoch in trial.epochs(state={"random": random.Random(0)}):
        ...         trial.report(loss=hp.Float("floor", 0, 1) + 1 / (epoch + 1))
        >>> tuner = Hyperband(train, "loss", max_epochs=9, seed=0, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> len(tuner.history), tuner.summary.epochs, tuner.summary.epochs_in_full
        (17, 75, 153)
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: float | None = 1,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        horizon: Horizon = "full",
        oracle: Oracle | None = None,
        **kwargs: Any,
    ) -> None:
        limits = (hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial)
        budgets = (max_epochs, factor, hyperband_iterations)
        settings = HyperbandOracle(
            objective, *budgets, seed, *limits, max_consecutive_failed_trials, horizon=horizon, oracle=oracle
        )
        super().__init__(settings, hypermodel, **kwargs)


class ASHA(Tuner):
    """Lets a trial train longer as soon as it is among the best that have come as far, else begins a new one.

    As `Hyperband`, without its rounds: with several workers, none ever waits for another.

    Args:
        hypermodel: what to tune; see `Tuner`.
        objective: as for `RandomSearch`.
        max_trials: how many trials are begun in all, earlier runs included.
        max_epochs: to how many epochs the best are trained.
        min_epochs: to how many epochs trials are trained at first.
        factor: by how much the budget grows; one in so many goes on.
        seed: of suggestions and trainings; 0 is a seed.
        hyperparameters: as for `RandomSearch`, and so are all that follow.
        tune_new_entries: likewise.
        allow_new_entries: likewise.
        max_retries_per_trial: likewise.
        max_consecutive_failed_trials: likewise.
        horizon: as for `Hyperband`.
        oracle: likewise.
        kwargs: what `Tuner` takes.

    Source:
        Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2.

    Example:
        >>> import random, tempfile
        >>> def train(hp, trial):
        ...     for epoch in trial.epochs(state={"random": random.Random(0)}):
        ...         trial.report(loss=hp.Float("floor", 0, 1) + 1 / (epoch + 1))
        >>> tuner = ASHA(train, "loss", max_trials=9, max_epochs=9, seed=0, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> max(rung.until for rung in tuner.history.best.rungs)
        9
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = 100,
        max_epochs: int = 100,
        min_epochs: int = 1,
        factor: int = 3,
        seed: int | None = None,
        hyperparameters: Any = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        horizon: Horizon = "full",
        oracle: Oracle | None = None,
        **kwargs: Any,
    ) -> None:
        limits = (hyperparameters, allow_new_entries, tune_new_entries, max_retries_per_trial)
        budgets = (max_trials, max_epochs, min_epochs, factor)
        settings = ASHAOracle(
            objective, *budgets, seed, *limits, max_consecutive_failed_trials, horizon=horizon, oracle=oracle
        )
        super().__init__(settings, hypermodel, **kwargs)
