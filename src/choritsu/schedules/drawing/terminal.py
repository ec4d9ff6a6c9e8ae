"""Schedules as text, for a terminal: a chart of blocks and a table of some steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from choritsu.errors import ScheduleError
from choritsu.schedules.drawing.drawable import Drawable
from choritsu.schedules.drawing.pictures import drawn

if TYPE_CHECKING:
    from rich.console import RenderableType

_BLOCKS = " ▁▂▃▄▅▆▇█"


def chart(
    values: Sequence[float], *, width: int = 60, height: int = 8, log: bool = False, last: int | None = None
) -> str:
    """Draw values as columns of blocks, with their largest and smallest number at the side.

    Args:
        values: at least one, none below 0, at even distances.
        width: of the columns, in characters; the numbers at the side come on top.
        height: in lines.
        log: whether on a logarithmic scale, from the smallest value above 0.
        last: the number to write at the right end below; by default that of the last value.

    Example:
        >>> print(chart([0.0, 0.25, 0.5, 0.75, 1.0], width=10, height=2))
          1 ┤      ▄▄██
            ┤  ▄▄██████
          0 ┼──────────
             0        4
    """
    if not values or width < 1 or height < 1:
        raise ScheduleError(f"a chart needs values, width and height, got {len(values)}, {width}, {height}")
    columns = [values[min(column * len(values) // width, len(values) - 1)] for column in range(width)]
    top = max(values)
    lowest = min((value for value in values if value > 0), default=top)
    if log and lowest < top:
        # Begun a little lower, so that the smallest value can be seen too.
        floor = math.exp(max(math.log(lowest) - 0.05 * (math.log(top) - math.log(lowest)), math.log(5e-324)))
    else:
        floor = 0.0
    cells = [round(_place(value, floor, top) * height * 8) for value in columns]
    marks = [_number(top), *[""] * (height - 1), _number(floor)]
    room = max(3, *map(len, marks))
    lines = []
    for row in range(height):
        below = (height - 1 - row) * 8
        line = "".join(_BLOCKS[min(max(cell - below, 0), 8)] for cell in cells)
        lines.append(f"{marks[row]:>{room}} ┤{line}".rstrip())
    lines.append(f"{marks[-1]:>{room}} ┼{'─' * width}")
    end = str(len(values) - 1 if last is None else last)
    lines.append(f"{'':{room}}  0{end:>{width - 1}}".rstrip() if width > len(end) else f"{'':{room}}  0 to {end}")
    return "\n".join(lines)


def _place(value: float, floor: float, top: float) -> float:
    """Give the height of a value in [0, 1]; above a floor of 0 the scale is linear, else logarithmic."""
    if not floor:
        return value / top if top > 0 else 0.0
    if value <= floor:
        return 0.0
    return (math.log(value) - math.log(floor)) / (math.log(top) - math.log(floor))


def _number(value: float) -> str:
    return f"{value:.3g}"


def told(schedule: Drawable, steps: int | None = None, *, log: bool = False, width: int = 80) -> RenderableType:
    """Describe a schedule for a terminal: how it is written, a chart, and its values at some steps.

    Args:
        schedule: also one without an end, or one that counts epochs or shares.
        steps: how many to show; see `pictures.drawn`.
        log: whether the chart is logarithmic.
        width: of the terminal, in characters.

    Returns:
        What a rich console prints.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    picture = drawn(schedule, steps)
    last = picture.steps[-1]
    unit = "learning rate" if schedule.unit == "rate" else "factor of the learning rate"
    about = f"steps 0 to {last}" + (f" ({picture.about})" if picture.about else "")
    blocks = chart(picture.values, width=max(min(width - 12, 72), 10), log=log, last=last)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("step", justify="right")
    table.add_column(unit, justify="right")
    for step in _some(picture.steps, picture.values):
        table.add_row(str(step), f"{picture.schedule(step):.6g}")
    return Group(Text(repr(schedule)), Text(f"{unit}, {about}\n"), Text(blocks, no_wrap=True), table)


def _some(steps: Sequence[int], values: Sequence[float]) -> list[int]:
    """Choose the steps worth a line: the ends, the quarters, and where the schedule turns."""
    last = steps[-1]
    chosen = {0, last, last // 4, last // 2, 3 * last // 4}
    slopes = [later - earlier for earlier, later in pairwise(values)]
    turns = [steps[place + 1] for place, (one, other) in enumerate(pairwise(slopes)) if one * other < 0]
    return sorted(chosen | set(turns[:8]))
