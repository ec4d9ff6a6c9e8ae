"""The one door: whatever stands for an earlier search becomes `Precedents`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from choritsu.earlier import keras_tuner, optuna
from choritsu.errors import StoreError
from choritsu.oracles import Precedents
from choritsu.stores import read_store
from choritsu.trials import Direction, History

_WANTED = (
    "the directory of a search (ours or Keras Tuner's), a tuner, an Optuna study, a Precedents, or a list of these"
)


def precedents_of(warm_start: Any, *, direction: Direction | None = None) -> tuple[Precedents, ...]:
    """Read what earlier searches have tried; nothing of theirs is changed.

    Args:
        warm_start: a directory (``directory/project_name``) of ours or of Keras Tuner's, a tuner of ours or its
            history, an Optuna study, a `Precedents`, or a list of these.
        direction: whether scores were made small ("min") or large ("max"), for a directory of Keras Tuner's that does
            not tell; all others do.

    Returns:
        One `Precedents` for each search, in the order given; a directory may hold one of ours and one of Keras Tuner's.

    Raises:
        TypeError: for anything else.
        StoreError: when no search lies in a directory, or it cannot be read.
        ValueError: when a search has completed no trial, has several objectives, or does not tell its direction.

    Example:
        >>> import tempfile
        >>> from choritsu import RandomSearch
        >>> tuner = RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=3, seed=0, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> (earlier,) = precedents_of(tuner.project_dir)
        >>> len(earlier.trials), earlier.direction
        (3, 'min')
    """
    found = tuple(_each(warm_start, direction))
    for precedents in found:
        if not precedents.trials:
            raise ValueError(
                f"{precedents.name}: no trial has been completed there, so that nothing can be learnt from it; "
                "leave it out of warm_start"
            )
    return found


def _each(given: Any, direction: Direction | None) -> Iterator[Precedents]:
    history = getattr(given, "history", None)
    match given:
        case list() | tuple():
            for item in given:
                yield from _each(item, direction)
        case Precedents():
            yield given
        case History():
            yield _of(given, "the history given")
        case str() if "://" in given:
            raise StoreError(
                f"{given} is no directory; to begin from a study of Optuna's, give "
                "optuna.load_study(study_name=..., storage=...)"
            )
        case str() | os.PathLike():
            yield from _in_directory(Path(given), direction)
        case _ if isinstance(history, History):
            yield _of(history, str(getattr(given, "project_dir", "the tuner given")))
        case _ if optuna.is_study(given):
            yield optuna.precedents(given)
        case _:
            raise TypeError(f"an earlier search is {_WANTED}, got {given!r}")


def _of(history: History, name: str) -> Precedents:
    if history.objective.parts:
        raise ValueError(
            f"{name} has {len(history.objective.parts)} objectives, and a search begins from one; make a Precedents of "
            "the trials and of the score that counts"
        )
    return Precedents.of(history, name)


def _in_directory(place: Path, direction: Direction | None) -> Iterator[Precedents]:
    ours, theirs = (place / "search.db").exists(), keras_tuner.lies_in(place)
    if not ours and not theirs:
        raise StoreError(f"no search lies in {place}{_advice(place)}")
    if ours:
        store = read_store(place)
        try:
            found = _of(store.history(), str(place))
        finally:
            store.close()
        # Begun where one of Keras Tuner's lies, it need not have come to anything yet.
        if found.trials or not theirs:
            yield found
    if theirs:
        yield replace(keras_tuner.precedents(place, direction), name=f"Keras Tuner's search in {place}")


def _advice(place: Path) -> str:
    if place.suffix == ".db":
        return "; to begin from a study of Optuna's, give optuna.load_study(study_name=..., storage=...)"
    if not place.is_dir():
        return ": there is no such directory"
    inside = [path for path in sorted(place.iterdir()) if (path / "search.db").exists() or keras_tuner.lies_in(path)]
    if inside:
        return f"; there are some inside it: {', '.join(map(str, inside[:5]))}"
    return "; give directory/project_name, where search.db lies (or Keras Tuner's oracle.json)"
