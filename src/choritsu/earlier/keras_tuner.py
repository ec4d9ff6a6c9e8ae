"""A directory of Keras Tuner's: ``oracle.json``, and ``trial_<id>/trial.json`` for each trial.

The files are rewritten in place while that search runs, and a kill may leave any of them torn: what cannot be
read is left out.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from choritsu.oracles import Precedent, Precedents
from choritsu.trials import Direction

#: What Hyperband hides among the values of its trials.
_HIDDEN = "tuner/"


def lies_in(place: Path) -> bool:
    """Tell whether a search of Keras Tuner's lies in a directory."""
    return (place / "oracle.json").is_file() or any(place.glob("trial_*/trial.json"))


def precedents(place: Path, direction: Direction | None = None) -> Precedents:
    """Read the completed trials; of Hyperband's, those that were trained the longest.

    Args:
        place: ``directory/project_name``.
        direction: of the objective; by default that of the metric whose best values are the scores.

    Raises:
        ValueError: when it is not given, and the files do not tell it.
    """
    trials = [trial for trial in _readable(place) if _counts(trial)]
    longest = max((_epochs(trial) for trial in trials), default=0.0)
    trials = [trial for trial in trials if _epochs(trial) == longest]
    return Precedents(
        str(place),
        direction or (_told_direction(place, trials) if trials else "min"),
        tuple(
            Precedent(
                {name: value for name, value in _values(trial).items() if not name.startswith(_HIDDEN)},
                float(trial["score"]),
            )
            for trial in trials
        ),
    )


def _readable(place: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(place.glob("trial_*/trial.json")):
        try:
            trial = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(trial, dict):
            yield trial


def _counts(trial: Mapping[str, Any]) -> bool:
    score = trial.get("score")
    whole = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
    return whole and trial.get("status") == "COMPLETED" and bool(_values(trial))


def _values(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    values = _part(trial, "hyperparameters", "values")
    return values if isinstance(values, dict) else {}


def _epochs(trial: Mapping[str, Any]) -> float:
    epochs = _values(trial).get("tuner/epochs", 0)
    return epochs if isinstance(epochs, int | float) else 0


def _told_direction(place: Path, trials: list[Mapping[str, Any]]) -> Direction:
    """Find the direction of the metrics that can have been the objective of all trials: its name is not kept."""
    candidates = set.intersection(*(_candidates(trial) for trial in trials))
    directions = {direction for _, direction in candidates}
    if len(directions) != 1:
        raise ValueError(
            f"{place} does not tell whether its scores were to be small or large; say it: "
            f'warm_start=precedents_of({str(place)!r}, direction="max"), or "min"'
        )
    (direction,) = directions
    return direction


def _candidates(trial: Mapping[str, Any]) -> set[tuple[str, Direction]]:
    """Give the metrics, with their directions, whose best value is the trial's score."""
    metrics = _part(trial, "metrics", "metrics")
    found: set[tuple[str, Direction]] = set()
    for name, metric in metrics.items() if isinstance(metrics, dict) else ():
        direction: Direction | None = {"min": "min", "max": "max"}.get(_part(metric, "direction"))  # type: ignore[assignment]
        means = list(_means(metric))
        if direction is not None and means:
            best = max(means) if direction == "max" else min(means)
            if math.isclose(best, trial["score"], rel_tol=1e-9):
                found.add((name, direction))
    return found


def _means(metric: Any) -> Iterator[float]:
    """Give a metric's value at each epoch: the mean over the executions."""
    observations = _part(metric, "observations")
    for observation in observations if isinstance(observations, list) else ():
        values = _part(observation, "value")
        if isinstance(values, list) and values and all(isinstance(value, int | float) for value in values):
            mean = statistics.fmean(values)
            if math.isfinite(mean):
                yield mean


def _part(data: Any, *path: str) -> Any:
    """Follow a path of keys; None where it leads nowhere."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data
