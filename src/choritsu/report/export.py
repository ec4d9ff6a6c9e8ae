"""Results for other programs: CSV, JSON, pandas."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from choritsu.report.data import Summary
from choritsu.report.wording import literal
from choritsu.space import encode
from choritsu.trials import Objective, Report, Trial

if TYPE_CHECKING:
    import pandas as pd


def to_records(summary: Summary) -> list[dict[str, Any]]:
    """Give one flat record a trial, in the order of numbers.

    Args:
        summary: what came out.

    Returns:
        Dicts with ``trial``, ``status``, ``score`` and so on, each hyperparameter as ``hp.<name>`` and each
        metric as ``metric.<name>``. Epochs count from 0, times are seconds since 1970.
    """
    return list(summary.rows())


def write_csv(summary: Summary, path: str | os.PathLike[str]) -> Path:
    """Write one line a trial, with the columns of `to_records`.

    A cell is empty where there is nothing to tell; a hyperparameter whose value is None reads ``None``.

    Args:
        summary: what came out.
        path: the file, replaced at once when all is written.

    Returns:
        The file's path.
    """
    rows = to_records(summary)
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(summary, rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(key, value) for key, value in row.items()} for row in rows)
    return write_atomically(path, text.getvalue())


def write_json(summary: Summary, path: str | os.PathLike[str]) -> Path:
    """Write everything, epochs included, as valid JSON: a metric that is not finite becomes null.

    `choritsu.space.decode` gives back the values of hyperparameters, tuples and infinities included.

    Args:
        summary: what came out.
        path: the file, replaced at once when all is written.

    Returns:
        The file's path.
    """
    data = {
        "title": summary.title,
        "directory": summary.directory,
        "created": summary.created,
        "objective": _objective(summary.objective),
        "settings": _finite(dict(summary.settings)),
        "space": summary.space.to_json(),
        "best": summary.best.number if summary.best else None,
        **({"front": [trial.number for trial in summary.front]} if summary.objective.parts else {}),
        "trials": [_trial(trial, summary.reports.get(trial.number, ())) for trial in summary.history],
    }
    return write_atomically(path, json.dumps(data, allow_nan=False, indent=1, ensure_ascii=False) + "\n")


def to_dataframe(summary: Summary) -> pd.DataFrame:
    """Give the trials as a table of pandas, one row each, with the columns of `to_records`.

    Raises:
        ImportError: when pandas is not installed.
    """
    rows, pandas = to_records(summary), _pandas()
    frame = pandas.DataFrame(rows, columns=_columns(summary, rows))
    for column in [f"hp.{name}" for name in summary.names]:
        # In a column of numbers None would become nan, and so be as if it had not been asked for.
        if any(column in row and row[column] is None for row in rows):
            frame[column] = pandas.Series([row.get(column, math.nan) for row in rows], dtype=object)
    return frame


def to_epochs_dataframe(summary: Summary) -> pd.DataFrame:
    """Give the learning curves as a table of pandas, one row for each epoch of each execution.

    Raises:
        ImportError: when pandas is not installed.
    """
    columns = ["trial", "execution", "epoch", "at", *(f"metric.{name}" for name in summary.metrics)]
    return _pandas().DataFrame(list(summary.epoch_rows()), columns=columns)


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a whole file, or leave the old one: what is read there is never half a file."""
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name[:100]}.{uuid4().hex[:8]}")
    try:
        draft.write_bytes(text.encode("utf-8", "replace"))
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _columns(summary: Summary, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    facts = [key for row in rows[:1] for key in row if not key.startswith(("hp.", "metric."))]
    named = [f"hp.{name}" for name in summary.names] + [f"metric.{name}" for name in summary.metrics]
    used = {key for row in rows for key in row}
    return [*(facts or ["trial", "status", "score"]), *(name for name in named if name in used or name[:3] == "hp.")]


def _cell(key: str, value: Any) -> Any:
    if value is None:
        return "None" if key.startswith("hp.") else ""
    return literal(value) if isinstance(value, tuple | list | dict) else value


def _finite(data: Any) -> Any:
    match data:
        case float():
            return data if math.isfinite(data) else None
        case Mapping():
            return {str(key): _finite(value) for key, value in data.items()}
        case list() | tuple():
            return [_finite(item) for item in data]
        case None | bool() | int() | str():
            return data
        case _:
            return str(data)


def _objective(objective: Objective) -> dict[str, Any]:
    told: dict[str, Any] = {"name": objective.name, "direction": objective.direction}
    if objective.parts:
        told |= {"parts": list(map(_objective, objective.parts)), "pareto": objective.pareto}
    return told


def _trial(trial: Trial, reports: Sequence[Report]) -> dict[str, Any]:
    result = trial.result
    return {
        "number": trial.number,
        "status": str(trial.status),
        "values": {name: encode(value) for name, value in trial.values.items()},
        "enqueued": trial.enqueued,
        "attempt": trial.attempt,
        "started": trial.started,
        "ended": trial.ended,
        "message": trial.message,
        "traceback": trial.traceback,
        "result": None
        if result is None
        else {
            "score": _finite(result.score),
            "spread": _finite(result.spread),
            "metrics": _finite(result.metrics),
            "best_epoch": result.best_epoch,
            "best_execution": result.best_execution,
            "executions": result.executions,
            "epochs": result.epochs,
        },
        "reports": [
            {
                "execution": report.execution,
                "epoch": report.epoch,
                "at": report.at,
                "metrics": _finite(report.metrics),
            }
            for report in reports
        ],
    }


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "a table of pandas needs pandas: pip install pandas; to_records and write_csv do without it"
        ) from error
    return pandas
