"""What a tuner refuses at the door, and what it says it ignores."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from choritsu.errors import FatalTypeError, closest, did_you_mean
from choritsu.oracles import OracleSettings
from choritsu.training import FIT

#: Methods of Keras Tuner's that its users override, and what to override here.
UNCALLED = {
    "_build_and_fit_model": "run_trial, or fit of a HyperModel,",
    "_build_hypermodel": "build of a HyperModel",
    "_try_build": "build of a HyperModel",
    "_populate_initial_space": "declare_hyperparameters of a HyperModel",
    "_deepcopy_callbacks": "__deepcopy__ of the callback, or give callbacks=lambda: [...],",
    "_configure_tensorboard_dir": "on_trial_begin",
    "pre_create_trial": "on_trial_begin",
}

#: What other libraries call arguments of ``search``.
ELSEWHERE = {
    "timeout": "time_limit",
    "time_budget_s": "time_limit",
    "n_jobs": "workers",
    "n_trials": "max_trials of the tuner itself",
    "num_samples": "max_trials of the tuner itself",
    "study_name": "project_name of the tuner itself",
}

#: What other libraries call arguments of a tuner; some of these a model's own fit may well take.
ELSEWHERE_LIMITS = {
    "direction": 'objective=Objective(name, "min" or "max")',
    "metric": "objective",
    "mode": 'objective=Objective(name, "min" or "max")',
    "n_iter": "max_trials",
    "n_trials": "max_trials",
    "num_samples": "max_trials",
    "random_state": "seed",
    "study_name": "project_name",
}


def check_limits(tuner: type, limits: Mapping[str, Any], *, complete: bool) -> None:
    """Refuse arguments that neither the tuner takes nor, unless its settings are complete, its oracle."""
    own = {field.name for field in fields(OracleSettings)} - {"name", "make"}
    passed_on = set() if complete else own
    unknown = sorted(set(limits) - passed_on)
    if not unknown:
        return
    signatures = [inspect.signature(vars(kind)["__init__"]) for kind in tuner.__mro__[:-1] if "__init__" in vars(kind)]
    taken = {name for signature in signatures for name in signature.parameters} | passed_on
    first, known = unknown[0], sorted(taken - {"self", "kwargs", "limits"})
    if first in ELSEWHERE_LIMITS:
        hint = f"; write {ELSEWHERE_LIMITS[first]}"
    elif first == "max_trials" and "max_epochs" in taken:
        hint = "; how many trials there are follows from max_epochs, factor and hyperband_iterations"
    elif complete and first in own - taken and "oracle" in signatures[0].parameters:
        hint = f"; give it to the oracle, as in RandomSearchOracle({first}={limits[first]!r})"
    else:
        hint = did_you_mean(first, known)
    raise TypeError(f"{tuner.__name__} takes no argument {', '.join(unknown)}{hint}")


def check_overrides(tuner: type, *, trains: bool) -> None:
    """Refuse a subclass that overrides what is never called: its code would silently not run.

    Args:
        tuner: the class.
        trains: whether it has a ``run_trial`` of its own, which may call what it likes.
    """
    for name, instead in UNCALLED.items():
        if hasattr(tuner, name) and not (trains and "build" in name):
            raise TypeError(f"{tuner.__name__} defines {name}, which is never called here; override {instead} instead")


def check_words(words: Iterable[str], own: Sequence[str], *, others: bool = True) -> None:
    """Refuse a misspelled argument of ``search``, which would be taken for one of ``model.fit``, or for none.

    Args:
        words: the arguments given besides those of its own.
        own: its own.
        others: whether there is a fit that may take what is not its own.
    """
    for word in words:
        # Keras refuses what its `fit` does not know, and a model may have another one.
        if word in own or (others and word in FIT):
            continue
        limit = f"{ELSEWHERE_LIMITS[word]} of the tuner itself" if not others and word in ELSEWHERE_LIMITS else None
        meant = ELSEWHERE.get(word) or limit or closest(word, own, cutoff=0.85)
        if meant is not None:
            raise FatalTypeError(f"search takes no argument {word}; is it {meant} that is meant?")
        if not others:
            raise FatalTypeError(f"search takes no argument {word}; it takes X, y, {', '.join(sorted(own))}")


def keywords(function: Callable[..., Any]) -> list[str]:
    """Give the names of the arguments that a function takes by name only."""
    parameters = inspect.signature(function).parameters.values()
    return [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]


def check_budgets(*, time_limit: Any, trial_time_limit: Any, max_epochs_total: Any, patience: Any) -> None:
    """Refuse budgets that make no sense."""
    for name, seconds in (("time_limit", time_limit), ("trial_time_limit", trial_time_limit)):
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if seconds is not None and not (is_number and seconds > 0):
            raise ValueError(f"{name} is a number of seconds above 0, got {seconds!r}")
    for name, value in (("max_epochs_total", max_epochs_total), ("patience", patience)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def ignored(environment: Mapping[str, str]) -> Iterator[str]:
    """Say that Keras Tuner's way of sharing a search is not taken."""
    told = [name for name in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP") if environment.get(name)]
    if told:
        yield (
            f"ignores {' and '.join(told)}: all runs of a script on one directory share the work by themselves, "
            "without a chief"
        )
