"""What is drawn: anything that has a unit, a shape and a length, as `Rate` and `Factor` have."""

from __future__ import annotations

from typing import Protocol, Self

from choritsu.schedules.shapes import Shape


class Drawable(Protocol):
    """A schedule, as pictures see it; the values themselves draw, and so pictures do not know them."""

    @property
    def shape(self) -> Shape:
        """The curve."""
        ...

    @property
    def unit(self) -> str:
        """Either "rate" or "factor"."""
        ...

    @property
    def length(self) -> float:
        """The planned number of steps."""
        ...

    def __call__(self, step: float) -> float:
        """Give the value at a step."""
        ...

    def bind(self, *, steps_per_epoch: float | None = None, horizon: float | None = None) -> Self:
        """Turn all lengths into steps."""
        ...
