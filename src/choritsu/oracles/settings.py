"""Keras Tuner's oracle classes, as values: an algorithm together with the limits of a search."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, cast

from choritsu.oracles.asha import ASHA
from choritsu.oracles.base import Horizon, Oracle
from choritsu.oracles.bayesian import BayesianOptimization
from choritsu.oracles.grid import Grid
from choritsu.oracles.hyperband import Hyperband
from choritsu.oracles.precedents import Precedents
from choritsu.oracles.quasirandom import QuasiRandom
from choritsu.oracles.random import Random


@dataclass(frozen=True)
class OracleSettings:
    """What Keras Tuner calls an oracle.

    Args:
        name: for people.
        make: makes the oracle proper from the search's seed.
        objective: a metric's name, an `Objective`, or None when the function returns the number to make small.
        max_trials: how many trials count in all, earlier runs included; None for as many as there are.
        seed: of suggestions and trainings; None for one drawn when the search first begins.
        hyperparameters: a `HyperParameters` whose definitions replace the function's own.
        allow_new_entries: whether the function may ask for more than these.
        tune_new_entries: whether what it asks for beyond these is tuned, or keeps its default.
        max_retries_per_trial: how many further attempts a trial that raises, or diverges, is given.
        max_consecutive_failed_trials: this many failed trials in a row stop the search.
        precedents: the earlier searches that the oracle learns from.
    """

    name: str
    make: Callable[[int], Oracle]
    objective: Any = None
    max_trials: int | None = 10
    seed: int | None = None
    hyperparameters: Any = None
    allow_new_entries: bool = True
    tune_new_entries: bool = True
    max_retries_per_trial: int = 0
    max_consecutive_failed_trials: int = 3
    precedents: tuple[Precedents, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("max_trials", 1), ("max_retries_per_trial", 0), ("max_consecutive_failed_trials", 1)):
            number = getattr(self, name)
            if name == "max_trials" and number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {number!r}")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise ValueError(f"seed must be an integer or None, got {self.seed!r}")
        if self.hyperparameters is None and not (self.allow_new_entries and self.tune_new_entries):
            raise ValueError("allow_new_entries=False and tune_new_entries=False need hyperparameters=...")


def RandomSearchOracle(
    objective: Any = None,
    max_trials: int | None = 10,
    seed: int | None = None,
    hyperparameters: Any = None,
    allow_new_entries: bool = True,
    tune_new_entries: bool = True,
    max_retries_per_trial: int = 0,
    max_consecutive_failed_trials: int = 3,
) -> OracleSettings:
    """Set up random search; the arguments are those of `OracleSettings`.

    Example:
        >>> RandomSearchOracle("val_loss", max_trials=5).max_trials
        5
    """
    return OracleSettings(
        "RandomSearch",
        Random,
        objective=objective,
        max_trials=max_trials,
        seed=seed,
        hyperparameters=hyperparameters,
        allow_new_entries=allow_new_entries,
        tune_new_entries=tune_new_entries,
        max_retries_per_trial=max_retries_per_trial,
        max_consecutive_failed_trials=max_consecutive_failed_trials,
    )


def GridSearchOracle(
    objective: Any = None,
    max_trials: int | None = None,
    seed: int | None = None,
    hyperparameters: Any = None,
    allow_new_entries: bool = True,
    tune_new_entries: bool = True,
    max_retries_per_trial: int = 0,
    max_consecutive_failed_trials: int = 3,
) -> OracleSettings:
    """Set up grid search; the arguments are those of `OracleSettings`, without a limit by default.

    Example:
        >>> GridSearchOracle("val_loss").max_trials is None
        True
    """
    return OracleSettings(
        "GridSearch",
        lambda seed: Grid(),  # noqa: ARG005  # a grid leaves nothing to chance
        objective=objective,
        max_trials=max_trials,
        seed=seed,
        hyperparameters=hyperparameters,
        allow_new_entries=allow_new_entries,
        tune_new_entries=tune_new_entries,
        max_retries_per_trial=max_retries_per_trial,
        max_consecutive_failed_trials=max_consecutive_failed_trials,
    )


def QuasiRandomSearchOracle(
    objective: Any = None,
    max_trials: int | None = 10,
    seed: int | None = None,
    hyperparameters: Any = None,
    allow_new_entries: bool = True,
    tune_new_entries: bool = True,
    max_retries_per_trial: int = 0,
    max_consecutive_failed_trials: int = 3,
) -> OracleSettings:
    """Set up quasi-random search; the arguments are those of `OracleSettings`.

    Example:
        >>> QuasiRandomSearchOracle("val_loss", seed=0).seed
        0
    """
    return OracleSettings(
        "QuasiRandomSearch",
        QuasiRandom,
        objective=objective,
        max_trials=max_trials,
        seed=seed,
        hyperparameters=hyperparameters,
        allow_new_entries=allow_new_entries,
        tune_new_entries=tune_new_entries,
        max_retries_per_trial=max_retries_per_trial,
        max_consecutive_failed_trials=max_consecutive_failed_trials,
    )


def BayesianOptimizationOracle(
    objective: Any = None,
    max_trials: int | None = 10,
    num_initial_points: int | None = None,
    alpha: float = 1e-4,
    beta: float = 2.6,
    seed: int | None = None,
    hyperparameters: Any = None,
    allow_new_entries: bool = True,
    tune_new_entries: bool = True,
    max_retries_per_trial: int = 0,
    max_consecutive_failed_trials: int = 3,
    *,
    precedents: tuple[Precedents, ...] = (),
) -> OracleSettings:
    """Set up Bayesian optimization; the arguments are those of `BayesianOptimization` and `OracleSettings`.

    Keras Tuner's `alpha` (how noisy scores are) and `beta` (how bold to be) are taken and change nothing: the one is
    learned from the scores, and the expected improvement needs no other.

    Example:
        >>> BayesianOptimizationOracle("val_loss", max_trials=30).make(5)
        BayesianOptimization(num_initial_points=None, seed=5, precedents=())
    """
    del alpha, beta
    bayesian = BayesianOptimization(num_initial_points, precedents=precedents)
    return OracleSettings(
        "BayesianOptimization",
        lambda seed: replace(bayesian, seed=seed),
        objective=objective,
        max_trials=max_trials,
        seed=seed,
        hyperparameters=hyperparameters,
        allow_new_entries=allow_new_entries,
        tune_new_entries=tune_new_entries,
        max_retries_per_trial=max_retries_per_trial,
        max_consecutive_failed_trials=max_consecutive_failed_trials,
        precedents=precedents,
    )


def HyperbandOracle(
    objective: Any = None,
    max_epochs: int = 100,
    factor: int = 3,
    hyperband_iterations: float | None = 1,
    seed: int | None = None,
    hyperparameters: Any = None,
    allow_new_entries: bool = True,
    tune_new_entries: bool = True,
    max_retries_per_trial: int = 0,
    max_consecutive_failed_trials: int = 3,
    *,
    horizon: Horizon = "full",
    oracle: Oracle | None = None,
) -> OracleSettings:
    """Set up Hyperband; the arguments are those of `Hyperband` and `OracleSettings`.

    Example:
        >>> HyperbandOracle("val_loss", max_epochs=9).make(5)
        Hyperband(max_epochs=9, factor=3, hyperband_iterations=1, seed=5, horizon='full', oracle=None)
    """
    hyperband = Hyperband(max_epochs, factor, hyperband_iterations, horizon=horizon, oracle=oracle)
    return OracleSettings(
        "Hyperband",
        lambda seed: replace(hyperband, seed=seed, oracle=_seeded(oracle, seed)),
        objective=objective,
        max_trials=None,
        seed=seed,
        hyperparameters=hyperparameters,
        allow_new_entries=allow_new_entries,
        tune_new_entries=tune_new_entries,
        max_retries_per_trial=max_retries_per_trial,
        max_consecutive_failed_trials=max_consecutive_failed_trials,
    )


def ASHAOracle(
    objective: Any = None,
    max_trials: int | None = 100,
    max_epochs: int = 100,
    min_epochs: int = 1,
    factor: int = 3,
    seed: int | None = None,
    hyperparameters: Any = None,
    allow_new_entries: bool = True,
    tune_new_entries: bool = True,
    max_retries_per_trial: int = 0,
    max_consecutive_failed_trials: int = 3,
    *,
    early_stopping_rate: int = 0,
    horizon: Horizon = "full",
    oracle: Oracle | None = None,
) -> OracleSettings:
    """Set up ASHA; the arguments are those of `ASHA` and `OracleSettings`.

    Example:
        >>> ASHAOracle("val_loss", max_epochs=27).make(5).budgets
        (1, 3, 9, 27)
    """
    asha = ASHA(max_epochs, min_epochs, factor, early_stopping_rate, horizon=horizon, oracle=oracle)
    return OracleSettings(
        "ASHA",
        lambda seed: replace(asha, seed=seed, oracle=_seeded(oracle, seed)),
        objective=objective,
        max_trials=max_trials,
        seed=seed,
        hyperparameters=hyperparameters,
        allow_new_entries=allow_new_entries,
        tune_new_entries=tune_new_entries,
        max_retries_per_trial=max_retries_per_trial,
        max_consecutive_failed_trials=max_consecutive_failed_trials,
    )


def _seeded(oracle: Oracle | None, seed: int) -> Oracle | None:
    """Give an oracle the search's seed, if it takes any."""
    takes_seed = any(field.name == "seed" for field in fields(cast("Any", oracle))) if is_dataclass(oracle) else False
    return replace(cast("Any", oracle), seed=seed) if takes_seed else oracle


def settings_for(oracle: Oracle, **limits: Any) -> OracleSettings:
    """Wrap an oracle of your own.

    Args:
        oracle: a frozen dataclass with ``suggest(history, number)``.
        limits: the other fields of `OracleSettings`.

    Raises:
        TypeError: when `oracle` is none.
    """
    suggests = callable(getattr(oracle, "suggest", None))
    if (inspect.isclass(oracle) and suggests) or (inspect.isfunction(oracle) and oracle.__module__ == __name__):
        raise TypeError(f"oracle={oracle.__name__} is not called; write oracle={oracle.__name__}(...)")
    if not suggests:
        raise TypeError(
            "oracle must be such as RandomSearchOracle(max_trials=10), or an oracle of your own with "
            f"suggest(history, number), got {oracle!r}"
        )
    limits.setdefault("seed", getattr(oracle, "seed", None))
    return OracleSettings(type(oracle).__name__, lambda seed: oracle, **limits)  # noqa: ARG005  # it has its own
