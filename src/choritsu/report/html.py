"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from choritsu.report.charts import (
    AXES,
    HIGHLIGHTED,
    about_hollow_dots,
    effects,
    fronts,
    learning_curves,
    parallel,
    progress,
    slices,
    varied,
)
from choritsu.report.data import Summary
from choritsu.report.export import write_atomically
from choritsu.report.importance import Importances
from choritsu.report.tables import describe_conditions, describe_states, describe_values
from choritsu.report.wording import clean, count, cut, duration, goal, literal_lines, number, reason, repeats, show
from choritsu.space import describe_size
from choritsu.trials import Status, Trial

#: So many pairs of hyperparameters are shown, if they have at least this share.
PAIRS, PAIR_SHARE = 5, 0.01
#: So many slices are open; the others are folded away.
SLICES = 12


def render_html(summary: Summary) -> str:
    """Make the page: it works offline, in light and dark, on paper and without JavaScript.

    Args:
        summary: what came out.

    Returns:
        HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("choritsu.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: clean(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawing"] = Markup
    return environment.get_template("report.html.j2").render(_page(summary))


def write_html(summary: Summary, path: str | os.PathLike[str]) -> Path:
    """Write the page of `render_html`.

    Args:
        summary: what came out.
        path: the file, replaced at once when all is written.

    Returns:
        The file's path.
    """
    return write_atomically(path, render_html(summary))


def _page(summary: Summary) -> Mapping[str, Any]:
    importances = summary.importances
    by_weight = _by_weight(varied(summary), importances)
    axes = [name for name in summary.names if name in by_weight[:AXES]]
    drawn = slices(summary, by_weight)
    return {
        "title": cut(summary.title, 80),
        "directory": summary.directory,
        "objective": summary.objective.name,
        "goal": ", ".join(goal(summary.objective)),
        "pareto": summary.objective.pareto,
        "front": len(summary.front),
        "fronts": fronts(summary),
        "judges": [
            *(_REPEATED if summary.expects else ()),
            *(cut(part.name, 40) for part in summary.objective.parts),
        ],
        "best": _best(summary),
        "facts": _facts(summary),
        "settings": {cut(str(name), 40): show(value, 80) for name, value in summary.settings.items()},
        "progress": progress(summary),
        "curves": learning_curves(summary),
        "legend": [trial.number for trial in summary.ranked[:HIGHLIGHTED]],
        "paired": any(training for _, training in summary.pairs),
        "repeated": summary.repeated,
        "parallel": parallel(summary, axes),
        "axes_left_out": len(by_weight) - len(axes),
        "importance": [
            {
                "of": objective.name,
                "told": told,
                "bars": _bars(told),
                "effects": effects(summary, objective, told),
            }
            for objective, told in summary.told_importances
        ],
        "hollow": about_hollow_dots(summary),
        "slices": drawn[:SLICES],
        "more_slices": drawn[SLICES:],
        "space": _space(summary),
        "size": f"{count(len(summary.space), 'hyperparameter')}, {describe_size(summary.space)}",
        "names": [cut(name, 40) for name in summary.names],
        "leading": {trial.number for trial in (summary.front if summary.objective.pareto else summary.ranked[:1])},
        "trials": [_row(trial, rank, summary) for rank, trial in _in_order(summary)],
    }


def _by_weight(names: Sequence[str], importances: Importances) -> list[str]:
    weights = {item.name: item.share for item in importances.items}
    return sorted(names, key=lambda name: -weights.get(name, -1.0))


def _best(summary: Summary) -> Mapping[str, Any] | None:
    best = summary.best
    if best is None or best.score is None or best.result is None:
        return None
    return {
        "number": best.number,
        "score": number(best.score),
        "spread": "" if best.result.spread is None else number(best.result.spread, 2),
        "epoch": f"{best.result.best_epoch + 1} of {summary.length_of(best)}",
        "expected": _expected(summary, best),
        "literal": literal_lines(best.values),
    }


def _expected(summary: Summary, trial: Trial) -> str:
    """Say what a trial is expected to score, where that is something else than what it has scored."""
    expected = summary.history.expected(trial)
    if not summary.expects or expected is None:
        return ""
    return f"{number(expected)} expected after {count(summary.executions_of(trial), 'execution')}"


def _facts(summary: Summary) -> Sequence[tuple[str, str, str]]:
    full = summary.epochs_in_full
    each = "1 execution each" if not summary.repeated else f"{summary.executions:,} executions"
    ends = [trial.ended for trial in summary.history if trial.ended]
    span = max(ends, default=0.0) - summary.begun if summary.begun else 0.0
    return [
        ("trials", f"{len(summary.history):,}", describe_states(summary) or "none yet"),
        (
            "epochs",
            f"{summary.epochs:,}",
            f"{each}, in full {full:,}" if full and full > summary.epochs else each if summary.history else "",
        ),
        (
            "time in trials",
            duration(summary.seconds) if summary.seconds else "-",
            f"{_moment(summary.begun)}, over {duration(span)}" if span > 0 else "",
        ),
        *([] if summary.noise is None else [("noise", number(summary.noise.deviation, 2), repeats(summary.noise))]),
    ]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _bars(importances: Importances) -> Sequence[Mapping[str, Any]]:
    pairs = [pair for pair in importances.pairs[:PAIRS] if pair.share >= PAIR_SHARE]
    return [
        {
            "name": " with ".join(cut(name, 60) for name in item.names),
            "share": round(100 * item.share, 1),
            "low": round(100 * max(item.share - item.spread, 0.0), 1),
            "high": round(100 * min(item.share + item.spread, 1.0), 1),
            "percent": f"{100 * item.share:.0f} % ± {100 * item.spread:.0f}",
        }
        for item in (*importances.items, *pairs)
    ]


def _space(summary: Summary) -> Sequence[Sequence[str]]:
    return [
        (
            cut(parameter.name, 60),
            parameter.kind,
            show(parameter.start),
            describe_values(parameter),
            getattr(parameter, "sampling", "-"),
            describe_conditions(parameter) or "-",
        )
        for parameter in summary.space
    ]


def _in_order(summary: Summary) -> list[tuple[int | None, Trial]]:
    others = [trial for trial in summary.history if trial.status is not Status.COMPLETED and not trial.is_repeating]
    return [*enumerate(summary.ranked, start=1), *((None, trial) for trial in others)]


def _row(trial: Trial, rank: int | None, summary: Summary) -> Mapping[str, Any]:
    spread = trial.result.spread if trial.result else None
    told = reason(trial)
    return {
        "number": trial.number,
        "rank": rank,
        "status": str(trial.status).lower(),
        "failed_later": trial.has_failed_later,
        "score": "" if trial.score is None else repr(trial.score),
        "score_shown": "-" if trial.score is None else number(trial.score),
        "spread": "" if spread is None else f" ± {number(spread, 2)}",
        "judged": [*_repeated(trial, summary), *(_part(trial, part.name) for part in summary.objective.parts)],
        "epoch": "-" if trial.best_step is None else f"{trial.best_step + 1}/{summary.length_of(trial)}",
        "epoch_key": "" if trial.best_step is None else trial.best_step,
        "seconds": "" if trial.seconds is None else trial.seconds,
        "duration": "-" if trial.seconds is None else duration(trial.seconds),
        "values": [_value(trial, name) for name in summary.names],
        "reason": cut(told, 300),
        "detail": (trial.traceback or trial.message) if told else "",
    }


#: What trials are ordered by where some were repeated, beside their scores.
_REPEATED = ("executions", "expected")


def _repeated(trial: Trial, summary: Summary) -> list[tuple[str, str]]:
    """Give the cells below `_REPEATED`; none where nothing else is expected of trials than what they have scored."""
    if not summary.expects:
        return []
    expected, times = summary.history.expected(trial), summary.executions_of(trial)
    return [(str(times), str(times)), ("", "-") if expected is None else (repr(expected), number(expected))]


def _part(trial: Trial, name: str) -> tuple[str, str]:
    value = trial.result.metrics.get(name) if trial.result else None
    return ("", "-") if value is None else (repr(value), number(value))


def _value(trial: Trial, name: str) -> tuple[str, str]:
    if name not in trial.values:
        return "", "-"
    value = trial.values[name]
    return str(float(value) if isinstance(value, bool) else value)[:60], show(value)
