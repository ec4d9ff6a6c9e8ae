"""The page's figures, drawn from a `Summary`: fronts, progress, curves, parallel coordinates, effects, slices."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from choritsu.report.data import Curve, Standing, Summary
from choritsu.report.importance import Effect, Importances
from choritsu.report.svg import (
    LETTER,
    Categories,
    Linear,
    Log,
    Plot,
    Scale,
    element,
    escape,
    linear_over,
    path_through,
    picture,
    pixel,
    tip,
)
from choritsu.report.wording import count, cut, number, show
from choritsu.space import Choice, Float, Int, canonical
from choritsu.trials import Objective, Status, Trial

#: So many of the best trials have a colour of their own among the learning curves.
HIGHLIGHTED = 3
#: So many other trials are drawn behind them.
FAINT = 60
#: A learning curve is drawn with at most so many points.
POINTS = 200
#: So many shades tell the score in the parallel coordinates.
SHADES = 7
#: So many axes the parallel coordinates have beside the score's.
AXES = 10


@dataclass(frozen=True)
class Figure:
    """A drawing and what stands around it.

    Args:
        title: what is shown.
        drawing: the SVG.
        note: how to read it, in a sentence or two.
    """

    title: str
    drawing: str
    note: str = ""


def scale_over(values: Iterable[float], keep: Sequence[float] = ()) -> Scale:
    """Choose a scale for scores or metrics: logarithmic over three decades and more, else linear.

    Outliers, further than three interquartile ranges from the middle half, are put on the edge.

    Args:
        values: what is to be shown; what is not finite is left out.
        keep: values that must be seen where they are.
    """
    held = [value for value in values if math.isfinite(value)]
    if held and min(held) > 0 and math.log(max(held)) - math.log(min(held)) > math.log(1000):
        return Log(min(held) / 1.2, min(max(held), 1e308) * 1.2)
    if len(held) >= 4:
        low, _, high = statistics.quantiles(held, n=4, method="inclusive")
        reach = 3 * (high - low)
        if 0 < reach < math.inf:
            kept = [value for value in held if low - reach <= value <= high + reach]
            return linear_over([*kept, *keep])
    return linear_over(held)


def _label(trial: Trial, summary: Summary) -> str:
    if trial.score is None:
        return f"trial {trial.number}: {str(trial.status).lower()}"
    return f"trial {trial.number}: {summary.objective.name} {number(trial.score)}{_reached_by(trial, summary)}"


def _reached_by(trial: Trial, summary: Summary) -> str:
    return f" after epoch {trial.rungs[-1].until}" if trial.number in summary.partly_trained else ""


def _style(trial: Trial, summary: Summary, best: bool) -> str:
    return f"dot{' best' if best else ''}{' part' if trial.number in summary.partly_trained else ''}"


def about_hollow_dots(summary: Summary) -> str:
    """Say what a hollow dot is; empty where all scores are those of one budget."""
    if not summary.partly_trained:
        return ""
    rungs = summary.history.deepest[0].rungs
    short = f"not come as far as epoch {rungs[-1].until}" if rungs else "been trained in part only"
    return f"A hollow dot is a trial that has {short}."


# -- several objectives ----------------------------------------------------------------------------

#: So many pairs of objectives are drawn.
PLANES = 3


def fronts(summary: Summary) -> list[Figure]:
    """Draw the trials by each two objectives, with those of the Pareto front, and its edge where there are just two."""
    pairs = list(itertools.combinations(summary.objective.parts, 2))[:PLANES]
    return [_plane(summary, *pair) for pair in pairs if summary.front]


def _plane(summary: Summary, first: Objective, second: Objective) -> Figure:
    held = [
        trial for trial in summary.ranked if trial.result and {first.name, second.name} <= trial.result.metrics.keys()
    ]
    x, y = (
        scale_over((_reached(trial, part) for trial in held), [_reached(trial, part) for trial in summary.front])
        for part in (first, second)
    )
    plot = Plot(x, y, height=340, x_label=first.name)
    front = {trial.number for trial in summary.front}
    dots = [
        element(
            "circle",
            tip(_labelled(trial, summary.objective) + _reached_by(trial, summary)),
            class_=_style(trial, summary, best=trial.number in front),
            data_t=trial.number,
            cx=plot.px(_reached(trial, first)),
            cy=plot.py(_reached(trial, second)),
            r=5 if trial.number in front else 3.5,
        )
        for trial in sorted(held, key=lambda trial: trial.number in front)
    ]
    edge = _edge(plot, summary, first, second) if len(summary.objective.parts) == 2 else ""
    return Figure(f"{second.name} by {first.name}", plot.draw(edge + "".join(dots), f"{second.name} by {first.name}"))


def _reached(trial: Trial, part: Objective) -> float:
    return trial.result.metrics[part.name] if trial.result else math.nan


def _labelled(trial: Trial, objective: Objective) -> str:
    told = ", ".join(f"{part.name} {number(_reached(trial, part))}" for part in objective.parts)
    return f"trial {trial.number}: {told}"


def _edge(plot: Plot, summary: Summary, first: Objective, second: Objective) -> str:
    """Draw where the part of the plane ends that some trial is at least as good as."""
    points = [(plot.px(_reached(trial, first)), plot.py(_reached(trial, second))) for trial in summary.front]
    worst_x = plot.width - plot.right if first.direction == "min" else plot.left
    worst_y = plot.top if second.direction == "min" else plot.height - plot.bottom
    corners = [(points[0][0], worst_y)]
    for px, py in points:
        corners += [(px, corners[-1][1]), (px, py)]
    return element("path", class_="best-line", d=path_through([*corners, (worst_x, corners[-1][1])]))


# -- progress --------------------------------------------------------------------------------------


def progress(summary: Summary) -> list[Figure]:
    """Draw each trial's score and the best so far: by number, and by time where times are known."""
    standings = summary.progress()
    if not standings:
        return []
    # Where trials were repeated, the line shows what is expected, and the dots what was scored.
    shown = [score for standing in standings for score in dict.fromkeys((standing.trial.score or 0.0, standing.score))]
    y = scale_over(shown, keep=[standings[-1].best])
    line = "the best so far" if not summary.expects else "what the best so far is expected to score"
    better = "higher" if summary.objective.direction == "max" else "lower"
    by_number = Plot(Linear(-0.5, max(len(summary.history) - 0.5, 0.5), integral=True), y, x_label="trial")
    lost = "".join(_cross(trial, by_number, summary) for trial in summary.history.having(Status.FAILED))
    figures = [
        Figure(
            "Score by trial",
            by_number.draw(
                _progress(by_number, standings, summary, lambda trial: trial.number) + lost, "Score by trial"
            ),
            " ".join(
                [
                    f"Each dot is a trial, the line {line}; {better} is better.",
                    *filter(None, [about_hollow_dots(summary)]),
                    *(["A cross at the foot is a trial that failed."] if lost else []),
                ]
            ),
        )
    ]
    unit, name = _unit(max(_ended(trial, summary) for trial in summary.ranked))
    if len(standings) > 1 and unit:
        timed = summary.progress(by_time=True)
        x = Linear(0.0, max(_ended(standing.trial, summary) for standing in timed) / unit * 1.02)
        by_time = Plot(x, y, x_label=f"{name} since the first trial began")
        marks = _progress(by_time, timed, summary, lambda trial: _ended(trial, summary) / unit)
        figures.append(
            Figure("Score by time", by_time.draw(marks, "Score by time"), "The same trials, when they ended.")
        )
    return figures


def _ended(trial: Trial, summary: Summary) -> float:
    return max((trial.ended or 0.0) - summary.begun, 0.0)


def _unit(seconds: float) -> tuple[float, str]:
    for unit, name in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")):
        if seconds >= 2 * unit:
            return unit, name
    return (1.0, "seconds") if seconds > 0 else (0.0, "")


def _progress(plot: Plot, standings: Sequence[Standing], summary: Summary, x: Callable[[Trial], float]) -> str:
    corners: list[tuple[float, float]] = []
    for standing in standings:
        here = (plot.px(x(standing.trial)), plot.py(standing.best))
        corners += [(here[0], corners[-1][1]), here] if corners and corners[-1][1] != here[1] else [here]
    corners.append((plot.width - plot.right, corners[-1][1]))
    dots = [_dot(standing.trial, plot, x(standing.trial), summary) for standing in standings]
    return element("path", class_="best-line", d=path_through(corners)) + "".join(dots)


def _dot(trial: Trial, plot: Plot, x: Any, summary: Summary, shift: float = 0.0) -> str:
    best = trial is summary.best
    return element(
        "circle",
        tip(_label(trial, summary)),
        class_=_style(trial, summary, best),
        data_t=trial.number,
        cx=plot.px(x) + shift,
        cy=plot.py(trial.score),
        r=5 if best else 3.5,
    )


def _cross(trial: Trial, plot: Plot, summary: Summary) -> str:
    x, y = plot.px(trial.number), plot.height - plot.bottom - 6
    d = f"M{pixel(x - 3.5)} {pixel(y - 3.5)}l7 7m0 -7l-7 7"
    return element("path", tip(_label(trial, summary)), class_="failed", data_t=trial.number, d=d)


# -- learning curves -------------------------------------------------------------------------------


def learning_curves(summary: Summary) -> list[Figure]:
    """Draw each metric over the epochs: the best trials in colour, the others faint behind them."""
    figures = []
    for name, training in summary.pairs:
        curves = summary.curves(name)
        if any(len(curve.points) > 1 for curve in curves):
            figures.append(_learning_curves(summary, name, curves, summary.curves(training) if training else ()))
    return figures


def _learning_curves(summary: Summary, name: str, curves: Sequence[Curve], training: Sequence[Curve]) -> Figure:
    best = [trial.number for trial in summary.ranked[:HIGHLIGHTED]]
    others = _evenly(
        [number for number in dict.fromkeys(curve.number for curve in curves) if number not in best], FAINT
    )
    shown = [curve for curve in curves if curve.number in best or curve.number in others]
    beside = [curve for curve in training if curve.number in best[:1]]
    last = max(epoch for curve in curves for epoch, _ in curve.points)
    y = scale_over(value for curve in [*shown, *beside] for _, value in curve.points)
    plot = Plot(Linear(1, max(last + 1, 2), integral=True), y, x_label="epoch")
    drawn = [_curve(plot, curve, "curve faint", f"trial {curve.number}") for curve in shown if curve.number in others]
    for place, trial in reversed(list(enumerate(best))):
        runs = [curve for curve in shown if curve.number == trial]
        if len(runs) > 1:
            drawn += [_curve(plot, curve, f"curve run c{place}", _run(curve)) for curve in runs]
        for curve in _mean([curve for curve in beside if curve.number == trial]):
            drawn.append(_curve(plot, curve, f"curve training c{place}", f"trial {trial}, training"))
        drawn += [_curve(plot, curve, f"curve c{place}", f"trial {trial}") for curve in _mean(runs)]
    return Figure(name, plot.draw("".join(drawn), f"{name} by epoch"))


def _run(curve: Curve) -> str:
    return f"trial {curve.number}, execution {curve.execution + 1}"


def _curve(plot: Plot, curve: Curve, style: str, label: str) -> str:
    points = [
        (plot.px(epoch + 1), plot.py(value)) if math.isfinite(value) else None
        for epoch, value in _evenly(curve.points, POINTS)
    ]
    return element("path", tip(label), class_=style, data_t=curve.number, d=path_through(points))


def _mean(curves: Sequence[Curve]) -> list[Curve]:
    """Average the executions of one trial; an epoch counts the executions that reached it."""
    held: dict[int, list[float]] = {}
    for curve in curves:
        for epoch, value in curve.points:
            held.setdefault(epoch, []).append(value)
    points = tuple((epoch, statistics.fmean(values)) for epoch, values in sorted(held.items()))
    return [Curve(curves[0].number, 0, points)] if curves else []


def _evenly(items: Sequence[Any], most: int) -> list[Any]:
    """Pick at most `most` of `items`, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


# -- hyperparameters -------------------------------------------------------------------------------


def varied(summary: Summary) -> list[str]:
    """Give the names of the hyperparameters that differ between completed trials, being absent included."""
    return [name for name in summary.names if len({_key(trial, name) for trial in summary.ranked}) > 1]


def _key(trial: Trial, name: str) -> str:
    return canonical(trial.values[name]) if name in trial.values else ""


def scale_of(summary: Summary, name: str) -> Scale:
    """Choose the scale of a hyperparameter: logarithmic where it is sampled so, its values where they are few."""
    known = summary.space.named(name)
    tried = [trial.values[name] for trial in summary.ranked if name in trial.values]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in tried)
    ranges = [parameter for parameter in known if isinstance(parameter, Int | Float)]
    if not numeric or len(ranges) < len(known) or any(not math.isfinite(value) for value in tried):
        return _categories(summary, name, tried)
    low = min([*tried, *(parameter.min_value for parameter in ranges)])
    high = max([*tried, *(parameter.max_value for parameter in ranges)])
    samplings = {parameter.sampling for parameter in ranges}
    if low > 0 and low < high and len(samplings) == 1 and samplings != {"linear"}:
        return Log(low, high, mirrored=samplings == {"reverse_log"})
    if low == high:
        return linear_over([low])
    sizes = [parameter.size for parameter in ranges]
    few = len(ranges) == 1 and sizes[0] is not None and sizes[0] <= 6
    return Linear(low, high, all(isinstance(value, int) for value in tried), ranges[0].listed() if few else ())


def _categories(summary: Summary, name: str, tried: Sequence[Any]) -> Categories:
    listed = [
        value
        for parameter in summary.space.named(name)
        if (parameter.size or math.inf) <= 50
        for value in (sorted(parameter.listed()) if _sortable(parameter) else parameter.listed())
    ]
    held = {canonical(value): show(value, 24) for value in [*listed, *tried]}
    return Categories(tuple(held), tuple(held.values()), canonical)


def _sortable(parameter: Any) -> bool:
    return isinstance(parameter, Choice) and all(isinstance(value, int | float) for value in parameter.values)


def slices(summary: Summary, names: Sequence[str]) -> list[Figure]:
    """Draw the score over each of the hyperparameters `names`."""
    best = summary.best
    if best is None:
        return []
    y = scale_over((trial.score or 0.0 for trial in summary.ranked), keep=[best.score or 0.0])
    figures = []
    for name in names:
        scale = scale_of(summary, name)
        plot = Plot(scale, y, width=340, height=230, bottom=30, left=52, right=12)
        width = (plot.width - plot.left - plot.right) / len(scale.keys) if isinstance(scale, Categories) else 0.0
        held = [trial for trial in summary.ranked if name in trial.values]
        dots = "".join(
            # The golden ratio spreads neighbours evenly over the width of their category.
            _dot(trial, plot, trial.values[name], summary, width * 0.5 * (trial.number * 0.618034 % 1 - 0.5))
            for trial in reversed(held)
        )
        part = "" if len(held) == len(summary.ranked) else f"in {len(held)} of {count(len(summary.ranked), 'trial')}"
        figures.append(Figure(name, plot.draw(dots, f"{summary.objective.name} by {name}"), part))
    return figures


#: So many hyperparameters have their effect drawn, the most important first, if they have at least this share.
EFFECTS, EFFECT_SHARE = 6, 0.01
#: Up to so many values of a number are marked one by one.
FEW = 8


def effects(summary: Summary, objective: Objective, told: Importances) -> list[Figure]:
    """Draw how an objective depends on each of the hyperparameters that matter most to it, all on one scale."""
    shown = [
        (item, effect)
        for item, effect in zip(told.items, told.effects, strict=True)
        if item.share >= EFFECT_SHARE or item is told.items[0]
    ][:EFFECTS]
    reached = [
        mean + sign * spread
        for _, effect in shown
        for mean, spread in zip(effect.means, effect.spreads, strict=True)
        for sign in (-1, 1)
    ]
    y = linear_over(reached)
    return [
        Figure(effect.name, _effect(summary, effect, y, objective.name), f"{100 * item.share:.0f} % of the variance")
        for item, effect in shown
    ]


def _effect(summary: Summary, effect: Effect, y: Scale, objective: str) -> str:
    x = scale_of(summary, effect.name)
    if isinstance(x, Categories):
        x = Categories(
            tuple(map(canonical, effect.values)), tuple(show(value, 24) for value in effect.values), canonical
        )
    plot = Plot(x, y, width=340, height=230, bottom=30, left=52, right=12)
    points = [
        (plot.px(value), plot.py(mean), plot.py(mean - spread), plot.py(mean + spread))
        for value, mean, spread in zip(effect.values, effect.means, effect.spreads, strict=True)
    ]
    if isinstance(x, Categories):
        drawn = "".join(_reach(*point) for point in points)
    else:
        edge = [(px, low) for px, _, low, _ in points] + [(px, high) for px, _, _, high in reversed(points)]
        drawn = element("path", class_="band", d=f"{path_through(edge)}Z")
        drawn += element("path", class_="effect", d=path_through((px, middle) for px, middle, _, _ in points))
        if len(points) <= FEW:
            drawn += "".join(element("circle", class_="dot", cx=px, cy=middle, r=4.5) for px, middle, _, _ in points)
    return plot.draw(drawn, f"{objective} by {effect.name} alone")


def _reach(px: float, middle: float, low: float, high: float) -> str:
    bar = element("path", class_="reach", d=f"M{pixel(px)} {pixel(low)}V{pixel(high)}")
    return bar + element("circle", class_="dot", cx=px, cy=middle, r=4.5)


def parallel(summary: Summary, names: Sequence[str]) -> Figure | None:
    """Draw each completed trial as a line across an axis for each of `names`, and one for the score."""
    if summary.best is None or not names:
        return None
    height, top, foot = 380.0, 54.0, 350.0
    gap = max(112.0, 900.0 / len(names))
    width = gap * len(names) + 150
    scores = scale_over((trial.score or 0.0 for trial in summary.ranked), keep=[summary.best.score or 0.0])
    scales: Mapping[str, Scale] = {name: scale_of(summary, name) for name in names}
    partly = {name for name in names if any(name not in trial.values for trial in summary.ranked)}
    floor = foot - 34 if partly else foot
    lines = []
    for rank, trial in reversed(list(enumerate(summary.ranked))):
        points = [
            (60 + index * gap, _height(scales[name], trial.values[name], top, floor) if name in trial.values else foot)
            for index, name in enumerate(names)
        ]
        points.append((60 + len(names) * gap, _height(scores, trial.score, top, floor)))
        shade = "best" if rank == 0 else f"q{SHADES - 1 - rank * SHADES // len(summary.ranked)}"
        d = path_through(points)
        lines.append(
            f'<g class="line {shade}" data-t="{trial.number}">{tip(_label(trial, summary))}'
            f'<path class="hit" d="{d}"/><path d="{d}"/></g>'
        )
    axes = [
        _axis(60 + index * gap, scale, name, gap, top, floor, foot if name in partly else None)
        for index, (name, scale) in enumerate([*scales.items(), (summary.objective.name, scores)])
    ]
    # Many lines let each other through; the best one, drawn last, does not.
    crowd = element("g", "".join(lines[:-1]), stroke_opacity=f"{min(1.0, max(0.3, 60 / len(lines))):.2f}")
    drawing = picture(crowd + lines[-1] + "".join(axes), width, height, "Parallel coordinates")
    note = "Each line is a trial; the stronger its colour, the better its place; the best one is red."
    return Figure(
        "Parallel coordinates",
        drawing,
        f"{note} Point at a line to follow it." + (" At the foot are those that do not use it." if partly else ""),
    )


def _height(scale: Scale, value: Any, top: float, floor: float) -> float:
    return floor - scale.at(value) * (floor - top)


def _axis(x: float, scale: Scale, name: str, gap: float, top: float, floor: float, foot: float | None) -> str:
    room = int((gap - 16) / LETTER)
    drawn = [element("path", class_="axis", d=f"M{pixel(x)} {pixel(top)}V{pixel(floor)}")]
    drawn.append(
        element("text", tip(name) + escape(cut(name, room + 3)), class_="name", x=x, y=top - 22, text_anchor="middle")
    )
    for place, label in scale.ticks(6):
        y = floor - place * (floor - top)
        drawn.append(element("path", class_="tick", d=f"M{pixel(x - 4)} {pixel(y)}h4"))
        drawn.append(element("text", escape(cut(label, room)), class_="halo", x=x + 6, y=y + 4))
    if foot is not None:
        drawn.append(element("text", "not used", class_="halo", x=x, y=foot + 18, text_anchor="middle"))
    return "".join(drawn)
