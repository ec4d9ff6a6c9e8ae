"""The little SVG that the page's charts need: scales with ticks, and a frame with axes around a plot.

A scale places values on the unit interval; a `Plot` turns that into pixels. Everything written out is
escaped here, and nowhere else.
"""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

from choritsu.report.wording import clean, cut, number

Tick: TypeAlias = tuple[float, str]

#: How wide a letter of a tick's label is, in pixels.
LETTER = 7.0


class Scale(Protocol):
    """A map of values to [0, 1], and the labels along it."""

    def at(self, value: Any) -> float:
        """Give the place of `value`; what lies outside is put on the nearer end."""
        ...

    def ticks(self, most: int = 6) -> Sequence[Tick]:
        """Give places and labels, at most about `most` of them."""
        ...


@dataclass(frozen=True)
class Linear:
    """Numbers from `low` to `high`, at even distances.

    Args:
        low: the left or lower end.
        high: the other end, above it.
        integral: whether labels are whole numbers only.
        marks: the values to label; by default round ones.

    Example:
        >>> Linear(0.0, 1.0).ticks(4)
        [(0.0, '0'), (0.5, '0.5'), (1.0, '1')]
    """

    low: float
    high: float
    integral: bool = False
    marks: tuple[float, ...] = ()

    def at(self, value: float) -> float:
        # Halves, because the whole width of the floats is more than a float can hold.
        width = self.high / 2 - self.low / 2
        place = (value / 2 - self.low / 2) / width if width else 0.5
        return min(max(place, 0.0), 1.0)

    def ticks(self, most: int = 6) -> list[Tick]:
        marks = self.marks or _round_numbers(self.low, self.high, most, self.integral)
        return [(self.at(mark), label) for mark, label in zip(marks, _labels(marks), strict=True)]


@dataclass(frozen=True)
class Log:
    """Positive numbers from `low` to `high`, at even distances of their logarithms.

    With `mirrored` the large ones are far apart: it is ``low + high - value`` that is on a log scale.

    Example:
        >>> Log(1e-4, 1e-1).ticks()
        [(0.0, '0.0001'), (0.333..., '0.001'), (0.666..., '0.01'), (1.0, '0.1')]
    """

    low: float
    high: float
    mirrored: bool = False

    def at(self, value: float) -> float:
        value = self.low + self.high - value if self.mirrored else value
        value = min(max(value, self.low), self.high)
        place = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return 1.0 - place if self.mirrored else place

    def ticks(self, most: int = 6) -> list[Tick]:
        marks = () if self.mirrored else _powers(self.low, self.high, most)
        marks = marks or _round_numbers(self.low, self.high, most, integral=False)
        return [(self.at(mark), label) for mark, label in zip(marks, _labels(marks, shared=False), strict=True)]


@dataclass(frozen=True)
class Categories:
    """Values side by side, told apart by `key`.

    Example:
        >>> Categories(("adam", "sgd"), ("adam", "sgd")).ticks()
        [(0.25, 'adam'), (0.75, 'sgd')]
    """

    keys: tuple[str, ...]
    labels: tuple[str, ...]
    key: Callable[[Any], str] = str

    def at(self, value: Any) -> float:
        return (self.keys.index(self.key(value)) + 0.5) / len(self.keys)

    def ticks(self, most: int = 12) -> list[Tick]:
        every = math.ceil(len(self.keys) / max(most, 12))
        return [((index + 0.5) / len(self.keys), self.labels[index]) for index in range(0, len(self.keys), every)]


def linear_over(values: Iterable[float], pad: float = 0.05, integral: bool = False) -> Linear:
    """Give a linear scale that holds all of `values`, with some room at both ends."""
    held = list(values) or [0.0, 1.0]
    low, high = min(held), max(held)
    room = pad * (high - low) if high > low else abs(high) * 0.1 or 0.5
    below, above = low - room, high + room
    if not below < above or not math.isfinite(room):
        below, above = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    return Linear(max(below, -sys.float_info.max), min(above, sys.float_info.max), integral)


def _round_numbers(low: float, high: float, most: int, integral: bool) -> tuple[float, ...]:
    width = high - low
    if not math.isfinite(width) or not width > 1e-300:
        return (low, high)
    rough = width / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 5) if power * factor >= rough), power * 10)
    step = max(round(step), 1) if integral else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, min(last, first + 2 * most) + 1)) or (low, high)


def _powers(low: float, high: float, most: int) -> tuple[float, ...]:
    first, last = math.floor(math.log10(low)), math.floor(math.log10(high) + 1e-9)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        marks = [float(f"{factor}e{power}") for power in range(first, last + 1) for factor in factors]
        kept = [mark for mark in marks if low * (1 - 1e-9) <= mark <= high * (1 + 1e-9)]
        if len(kept) > 2:
            return tuple(kept[:: math.ceil(len(kept) / most)])
    return ()


def _labels(marks: Sequence[float], shared: bool = True) -> list[str]:
    """Write numbers just as exactly as it takes to tell neighbours apart."""
    gap = min((abs(b - a) for a, b in pairwise(marks) if a != b), default=0.0)
    largest = max((abs(mark) for mark in marks), default=0.0)
    told_apart = shared and 0 < gap < math.inf
    digits = math.ceil(math.log10(largest) - math.log10(gap)) + 1 if told_apart else 4
    return [number(0.0 if gap and abs(mark) < gap * 1e-9 else mark, min(max(digits, 2), 12)) for mark in marks]


# -- elements --------------------------------------------------------------------------------------


def escape(text: object) -> str:
    """Escape a text for HTML and its attributes."""
    return html.escape(clean(str(text)), quote=True)


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """Write an element; `content` is markup already, attributes are escaped.

    A trailing underscore of an attribute's name is dropped, others become hyphens; None leaves it out.

    Example:
        >>> element("circle", cx=1.25, r=3, class_="a & b")
        '<circle cx="1.2" r="3" class="a &amp; b"></circle>'
    """
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{pixel(value) if isinstance(value, float) else escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{told}>{content}</{tag}>"


def pixel(value: float) -> str:
    """Write a coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def tip(text: str) -> str:
    """Write a tooltip, to stand inside the element it belongs to."""
    return f"<title>{escape(text)}</title>"


def path_through(points: Iterable[tuple[float, float] | None]) -> str:
    """Write a path's `d`; None breaks the line, and a lone point becomes a dot if line caps are round.

    Example:
        >>> path_through([(0, 0), (1, 2), None, (3, 4)])
        'M0 0L1 2M3 4h0'
    """
    parts: list[str] = []
    run = 0
    for point in [*points, None]:
        if point is None:
            if run == 1:
                parts.append("h0")
            run = 0
        else:
            parts.append(f"{'L' if run else 'M'}{pixel(point[0])} {pixel(point[1])}")
            run += 1
    return "".join(parts)


@dataclass(frozen=True)
class Plot:
    """A rectangle with two scales, and its frame.

    Args:
        x: the scale from left to right.
        y: the scale from bottom to top.
        width: of the whole picture, in pixels.
        height: likewise.
        left: room for the labels of `y`.
        bottom: room for the labels of `x`.
        x_label: what `x` is.
    """

    x: Scale
    y: Scale
    width: float = 520
    height: float = 300
    left: float = 58
    bottom: float = 46
    top: float = 14
    right: float = 16
    x_label: str = ""

    def px(self, value: Any) -> float:
        """Give the pixel of a value of `x`."""
        return self.left + self.x.at(value) * (self.width - self.left - self.right)

    def py(self, value: Any) -> float:
        """Give the pixel of a value of `y`."""
        return self.height - self.bottom - self.y.at(value) * (self.height - self.top - self.bottom)

    def frame(self) -> str:
        """Draw grid lines, ticks and labels."""
        foot, inner = self.height - self.bottom, self.width - self.left - self.right
        drawn = []
        for place, label in self.y.ticks():
            y = foot - place * (foot - self.top)
            drawn.append(element("path", class_="grid", d=f"M{pixel(self.left)} {pixel(y)}h{pixel(inner)}"))
            drawn.append(element("text", escape(cut(label, 9)), x=self.left - 8, y=y + 4, text_anchor="end"))
        for place, label in self._x_ticks(inner):
            x = self.left + place * inner
            drawn.append(element("path", class_="tick", d=f"M{pixel(x)} {pixel(foot)}v5"))
            drawn.append(element("text", escape(label), x=x, y=foot + 18, text_anchor="middle"))
        drawn.append(element("path", class_="axis", d=f"M{pixel(self.left)} {pixel(foot)}h{pixel(inner)}"))
        if self.x_label:
            middle = self.left + inner / 2
            drawn.append(
                element("text", escape(self.x_label), class_="label", x=middle, y=self.height - 6, text_anchor="middle")
            )
        return "".join(drawn)

    def _x_ticks(self, inner: float) -> list[Tick]:
        ticks = list(self.x.ticks(max(2, int(inner / 70))))
        room = inner / max(len(ticks), 1) / LETTER
        # Leave labels out rather than cut them below six letters.
        longest = min(max((len(label) for _, label in ticks), default=1), 6)
        every = max(1, math.ceil(longest / max(room, 0.1)))
        return [(place, cut(label, max(int(room * every), 4))) for place, label in ticks[::every]]

    def draw(self, marks: str, title: str, about: str = "") -> str:
        """Give the whole picture.

        Args:
            marks: what is drawn inside the frame, as markup.
            title: its name, for those who cannot see it.
            about: what it shows, in a sentence.
        """
        return picture(self.frame() + marks, self.width, self.height, title, about)


def picture(content: str, width: float, height: float, title: str, about: str = "") -> str:
    """Wrap markup as an inline SVG that scales with its column and has a name."""
    named = f"{title}. {about}" if about else title
    return element("svg", content, viewBox=f"0 0 {pixel(width)} {pixel(height)}", role="img", aria_label=named)
