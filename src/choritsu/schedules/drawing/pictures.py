"""Schedules and range tests as pictures, by matplotlib, which is imported only when one is drawn."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from choritsu.errors import ScheduleError, UnitError
from choritsu.schedules.drawing.drawable import Drawable
from choritsu.schedules.durations import Duration
from choritsu.schedules.shapes import After, Piecewise, everything_in, is_node

if TYPE_CHECKING:
    from choritsu.schedules.finding.rate_range import RateRange

#: No picture is so wide that it shows more points.
POINTS = 2000

#: What a schedule that counts epochs or shares is drawn with, for want of the real numbers.
STEPS_PER_EPOCH, HORIZON = 100, 1000

#: For lines one after another; the report's, and dark enough for white paper.
COLOURS = ("#26478d", "#cf4520", "#1f8a70", "#8a5cb8", "#b08a1e", "#5c6575")
SIZE = (7.0, 3.6)
INK, SOFT, GRID = "#1c2230", "#5c6575", "#e3e5ea"


@dataclass(frozen=True)
class Drawn:
    """A schedule as points of a picture.

    Args:
        schedule: bound.
        steps: whole numbers.
        values: one for each.
        about: what is to be said of the steps: numbers assumed, or an end that is not there.
    """

    schedule: Drawable
    steps: tuple[int, ...]
    values: tuple[float, ...]
    about: str


def drawn(schedule: Drawable, steps: int | None = None, *, points: int = POINTS) -> Drawn:
    """Choose the steps at which a schedule is drawn, and read it there.

    Args:
        schedule: also one without an end, or one that counts epochs or shares.
        steps: how many to show; by default all that are planned, or enough to see what it does.
        points: how many at most.

    Raises:
        ScheduleError: when `steps` is below 1, or it has no such values.

    Example:
        >>> from choritsu.schedules import epochs, inverse_sqrt, linear
        >>> drawn(linear(1.0, 0.0, steps=4)).values
        (1.0, 0.75, 0.5, 0.25)
        >>> drawn(linear(1.0, 0.0, steps=epochs(3))).about
        'assuming 100 steps an epoch'
        >>> drawn(inverse_sqrt(warmup=4000)).about
        'no end'
    """
    if steps is not None and operator.index(steps) < 1:
        raise ScheduleError(f"a picture shows at least 1 step, got steps={steps!r}")
    known, about = _bound(schedule, steps)
    count = steps if steps is not None else _planned(known)
    if steps is None and not math.isfinite(known.length):
        about.append("no end")
    shown = min(count, points)
    places = [round(index * (count - 1) / (shown - 1)) for index in range(shown)] if shown > 1 else [0]
    return Drawn(known, tuple(places), tuple(known(place) for place in places), ", ".join(about))


def _bound(schedule: Drawable, steps: int | None) -> tuple[Drawable, list[str]]:
    lengths = [value for value in everything_in(schedule.shape) if isinstance(value, Duration)]
    horizon = HORIZON if steps is None else steps
    about = [f"assuming {STEPS_PER_EPOCH} steps an epoch"] if any(length.epochs for length in lengths) else []
    if steps is None and any(length.share for length in lengths):
        about.append(f"{'' if about else 'assuming '}{horizon} in all")
    return schedule.bind(steps_per_epoch=STEPS_PER_EPOCH, horizon=horizon), about


def _planned(schedule: Drawable) -> int:
    """Give the number of steps that shows all there is to see."""
    inside = everything_in(schedule.shape)
    if math.isfinite(schedule.length):
        # Values by step end with one that is meant to last, and would not be seen.
        lasting = any(isinstance(value, Piecewise) and value.between == "hold" for value in inside)
        open_ended = not any(isinstance(value, After) and value.then == "error" for value in inside)
        return max(math.ceil(schedule.length * (1.2 if lasting and open_ended else 1)), 1)
    longest = max(map(_own_span, inside), default=0.0)
    # Several cycles, or enough of a slow fall to see how it bends.
    return max(100, math.ceil(5 * longest))


def _own_span(value: Any) -> float:
    if not is_node(value):
        return 0.0
    spans = [getattr(value, one.name) for one in fields(value) if one.name in ("span", "every", "at")]
    flat = [one for span in spans for one in (span if isinstance(span, tuple) else (span,))]
    return max((one for one in flat if math.isfinite(one)), default=0.0)


def plot(
    schedules: Drawable | Sequence[Drawable],
    steps: int | None = None,
    ax: Any = None,
    *,
    log: bool = False,
    labels: Sequence[str] | None = None,
) -> Any:
    """Draw one schedule or several.

    Args:
        schedules: all rates, or all factors.
        steps: how many to show; by default all that are planned. Where there is no end, or lengths are in epochs or
            shares, a number is chosen, and the axis says so.
        ax: matplotlib axes to draw into; by default new ones.
        log: whether the values are on a logarithmic scale; a 0 is then not drawn.
        labels: names for the legend; by default the schedules as they are written.

    Returns:
        The axes; ``ax.figure.savefig("schedule.png")`` writes a file.

    Raises:
        UnitError: when rates and factors are mixed.
        ScheduleError: when there is none to draw, several are not given as a list, or matplotlib is not installed.

    Example:
        >>> from choritsu.schedules import cosine
        >>> from matplotlib.figure import Figure
        >>> ax = plot(0.1 * cosine(steps=10), ax=Figure().add_subplot())
        >>> ax.get_ylabel()
        'learning rate'
    """
    if any(hasattr(thing, "shape") and hasattr(thing, "unit") for thing in (steps, ax)):
        raise ScheduleError("plot takes several schedules as a list: plot([a, b])")
    listed = _checked(schedules, labels)
    pictures = _together(listed, steps)
    new, ax = ax is None, _axes(ax)
    _draw(ax, listed, pictures, log=log, labels=labels)
    if new:
        _arrange(ax, listed, log=log, named=labels is not None)
    elif len(listed) > 1 or labels is not None:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _checked(schedules: Any, labels: Any) -> list[Drawable]:
    listed = [schedules] if _is_schedule(schedules) else list(schedules)
    if not listed or not all(_is_schedule(one) for one in listed):
        raise ScheduleError(f"plot draws a Rate, a Factor, or a list of one kind, got {schedules!r:.80}")
    if len({one.unit for one in listed}) > 1:
        raise UnitError(
            "rates and factors have no axis in common; make the factors rates: 0.1 * factor, or the rates factors: "
            "rate / 0.1"
        )
    if labels is not None and (isinstance(labels, str) or len(labels) != len(listed)):
        raise ScheduleError(f"{len(listed)} schedules need as many labels in a list, got {labels!r:.80}")
    return listed


def _is_schedule(thing: Any) -> bool:
    return is_node(getattr(thing, "shape", None)) and hasattr(thing, "unit")


def _together(listed: Sequence[Drawable], steps: int | None) -> list[Drawn]:
    """Read all that goes into one picture; what has no end goes on for as long as the others do."""
    pictures = [drawn(one, steps) for one in listed]
    longest = max(picture.steps[-1] for picture in pictures) + 1
    if steps is not None:
        return pictures
    return [
        picture
        if math.isfinite(picture.schedule.length)
        else replace(drawn(picture.schedule, longest), about=picture.about)
        for picture in pictures
    ]


def _draw(
    ax: Any, listed: Sequence[Drawable], pictures: Sequence[Drawn], *, log: bool, labels: Sequence[str] | None
) -> None:
    names = [_cut(repr(one)) for one in listed] if labels is None else labels
    for index, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": ("-", "--", ":")[index // len(COLOURS) % 3]}
        values = [value if value > 0 or not log else math.nan for value in picture.values]
        marker = "o" if len(values) == 1 else None
        ax.plot(picture.steps, values, linewidth=2, marker=marker, label=_plain(str(name)), **style)
    about = dict.fromkeys(picture.about for picture in pictures if picture.about)
    ax.set_xlabel(f"step ({'; '.join(about)})" if about else "step")
    ax.set_ylabel("learning rate" if listed[0].unit == "rate" else "factor of the learning rate")
    if log:
        ax.set_yscale("log")


def _arrange(ax: Any, listed: Sequence[Drawable], *, log: bool, named: bool) -> None:
    """Make axes of our own look well; those of the user's are arranged as the user likes them."""
    if not log:
        ax.set_ylim(bottom=0)
    _tidy(ax)
    if len(listed) > 1 or named:
        ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    else:
        ax.set_title(_plain(_cut(repr(listed[0]))), fontsize="small", loc="left", color=INK)


def write_picture(
    schedules: Drawable | Sequence[Drawable], path: str | PathLike[str], steps: int | None = None, *, log: bool = False
) -> None:
    """Draw one schedule or several into a file, without a window.

    Args:
        schedules: see `plot`.
        path: its ending decides the format: .png, .svg, .pdf.
        steps: see `plot`.
        log: see `plot`.

    Raises:
        UnitError: when rates and factors are mixed.
        ScheduleError: when there is no such format, or matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ScheduleError(_without_matplotlib(error)) from None
    listed = _checked(schedules, None)
    pictures = _together(listed, steps)
    figure, ending = Figure(figsize=SIZE, layout="constrained"), Path(path).suffix.lstrip(".").lower()
    if ending not in figure.canvas.get_supported_filetypes():
        raise ScheduleError(f"cannot tell the format of {path}; end it with .png, .svg or .pdf")
    ax = figure.add_subplot()
    _draw(ax, listed, pictures, log=log, labels=None)
    _arrange(ax, listed, log=log, named=False)
    figure.savefig(path, format=ending, dpi=150)


def plot_range(found: RateRange, ax: Any = None) -> Any:
    """Draw what a range test found; see `RateRange.plot`."""
    new, ax = ax is None, _axes(ax)
    for index, losses in enumerate(found.losses):
        name = f"{len(found.losses)} sweeps" if len(found.losses) > 1 else "the losses"
        style = {"color": SOFT, "alpha": 0.45, "linewidth": 0.8}
        ax.plot(found.rates[: len(losses)], losses, label=None if index else name, **style)
    ax.plot(found.rates[: len(found.smoothed)], found.smoothed, color=COLOURS[0], linewidth=2, label="smoothed median")
    ax.axvspan(found.low, found.high, color=COLOURS[2], alpha=0.12, linewidth=0, label=_between(found))
    ax.axvline(found.suggested, color=COLOURS[1], linewidth=1.5, label=f"suggested {found.suggested:.2g}")
    ax.set_xscale("log")
    if found.smoothed:
        # One loss on its way to infinity would flatten all the others.
        lowest = min(min(found.smoothed), *(min(losses, default=math.inf) for losses in found.losses))
        start = found.smoothed[0]
        room = (start - lowest) or 1.0
        ax.set_ylim(lowest - 0.1 * room, start + 0.5 * room)
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss")
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    if new:
        _tidy(ax)
    return ax


def _between(found: RateRange) -> str:
    return f"range {found.low:.2g} to {found.high:.2g}"


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ScheduleError(_without_matplotlib(error)) from None
    return pyplot.subplots(figsize=SIZE, layout="constrained")[1]


def _without_matplotlib(error: ImportError) -> str:
    """Say what a picture needs."""
    return f"pictures are drawn by matplotlib, which cannot be imported ({error}); pip install 'choritsu[plot]'"


def _tidy(ax: Any) -> None:
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(SOFT)
    ax.tick_params(colors=SOFT, which="both")
    ax.margins(x=0.01)


def _cut(text: str, most: int = 70) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _plain(text: str) -> str:
    """Keep matplotlib from reading a name as mathematics."""
    return text.replace("$", r"\$")
