"""Where combinations of values lie: points of the unit cube, and coordinates that distances are measured in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from choritsu.space import Choice, Condition, Parameter, Space, canonical

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

#: Numbers with more values than this are treated as if they were continuous.
FINEST = 256


@dataclass(frozen=True)
class Encoding:
    """Turns combinations into points and back, and points into coordinates.

    A point holds, for each parameter of the space, its place on its unit axis, or nan where the parameter is inactive.
    Coordinates are what the model sees: a number keeps one, from 0 to 1 between its first and its last value; a choice
    of three or more without order has one for each of its values, so that any two of them are as far apart.

    Args:
        space: what is tuned.

    Example:
        >>> from choritsu.space import Choice, Float
        >>> encoding = Encoding(Space((Float("x", 0.0, 4.0), Choice("c", ("a", "b", "c")))))
        >>> encoding.points([{"x": 1.0, "c": "b"}])
        array([[0.25, 0.5 ]])
        >>> encoding.coordinates(encoding.points([{"x": 1.0, "c": "b"}])).round(2)
        array([[0.25, 0.  , 0.71, 0.  ]])
    """

    space: Space

    @cached_property
    def _places(self) -> tuple[_Place, ...]:
        return tuple(_Place(parameter) for parameter in self.space)

    @cached_property
    def groups(self) -> tuple[slice, ...]:
        """The coordinates of each parameter that has any."""
        ends = np.cumsum([0, *(place.width for place in self._places)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends) if b > a)

    @cached_property
    def varied(self) -> tuple[int, ...]:
        """The positions of the parameters that have more than one value."""
        return tuple(position for position, place in enumerate(self._places) if place.width)

    def points(self, combinations: Iterable[Mapping[str, Any]]) -> Floats:
        """Give the points of combinations, one a row; what a combination lacks is inactive."""
        rows = [self._point(values) for values in combinations]
        return np.array(rows, dtype=float).reshape(len(rows), len(self._places))

    def _point(self, values: Mapping[str, Any]) -> list[float]:
        met: set[str] = set()
        row = []
        for place in self._places:
            # Of several definitions of a name, the first whose conditions hold is the one.
            active = place.name in values and place.name not in met and place.parameter.is_active(values)
            row.append(place.of(values[place.name]) if active else np.nan)
            if active:
                met.add(place.name)
        return row

    def values(self, point: Floats) -> dict[str, Any]:
        """Give the combination at a point that `settled` gave."""
        places = dict(zip((parameter.key for parameter in self.space), point.tolist(), strict=True))

        def choose(parameter: Parameter) -> Any:
            u = places[parameter.key]
            return parameter.from_unit(0.5 if np.isnan(u) else u)

        return self.space.assign(choose)

    def settled(self, points: Floats) -> Floats:
        """Move points to the middle of the nearest value, and make nan of what is inactive there."""
        points = np.clip(points, 0.0, 1.0)
        met: dict[str, Mask] = {}
        present: dict[str, list[tuple[int, Mask]]] = {}
        for position, place in enumerate(self._places):
            points[:, position] = place.snapped(points[:, position])
            if place.parameter.conditions or place.name in met:
                active = ~met.get(place.name, np.zeros(len(points), dtype=bool))
                for condition in place.parameter.conditions:
                    active &= self._holds(condition, points, present.get(condition.name, []))
                points[~active, position] = np.nan
            else:
                active = np.ones(len(points), dtype=bool)
            met[place.name] = met.get(place.name, False) | active
            present.setdefault(place.name, []).append((position, active))
        return points

    def _holds(self, condition: Condition, points: Floats, parents: list[tuple[int, Mask]]) -> Mask:
        held = np.zeros(len(points), dtype=bool)
        for position, active in parents:
            held[active] |= self._places[position].holds(condition, points[active, position])
        return held

    def coordinates(self, points: Floats) -> Floats:
        """Give the coordinates of settled points, one point a row."""
        columns = [place.columns(points[:, position]) for position, place in enumerate(self._places) if place.width]
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(points), 0))

    def neighbours(self, point: Floats) -> Floats:
        """Give, for each parameter with a coordinate a value, the points that differ in it alone; not settled."""
        rows = []
        for position, place in enumerate(self._places):
            if place.is_split and not np.isnan(point[position]):
                others = place.middles[place.middles != point[position]]
                near = np.repeat(point[None], len(others), axis=0)
                near[:, position] = others
                rows.append(near)
        return np.concatenate([np.zeros((0, len(point))), *rows])

    @cached_property
    def steps(self) -> Floats:
        """How far apart neighbouring values lie on the unit axis of each parameter; 0 where it is continuous."""
        return np.array([1 / len(place.middles) if place.is_finite else 0.0 for place in self._places])

    @cached_property
    def split(self) -> Mask:
        """Which parameters have a coordinate for each of their values: more than two, without an order."""
        return np.array([place.is_split for place in self._places], dtype=bool)


@dataclass(frozen=True)
class _Place:
    """One parameter among the columns of points."""

    parameter: Parameter

    @cached_property
    def name(self) -> str:
        return self.parameter.name

    @cached_property
    def is_finite(self) -> bool:
        size = self.parameter.size
        return size is not None and (size <= FINEST or isinstance(self.parameter, Choice))

    @cached_property
    def is_split(self) -> bool:
        """Whether each value has a coordinate of its own; one coordinate holds two values as far apart."""
        return isinstance(self.parameter, Choice) and not self.parameter.is_ordered and len(self.middles) > 2

    @cached_property
    def middles(self) -> Floats:
        """Where the values of a finite axis lie."""
        size = (self.parameter.size or 0) if self.is_finite else 0
        return np.array([self.parameter.axis.middle(index) for index in range(size)])

    @cached_property
    def _borders(self) -> Floats:
        return (self.middles[:-1] + self.middles[1:]) / 2

    @cached_property
    def _listed(self) -> tuple[Any, ...]:
        return self.parameter.listed() if self.is_finite else ()

    @cached_property
    def width(self) -> int:
        """How many coordinates it has."""
        if self.is_split:
            return len(self.middles)
        return int(self.parameter.size != 1)

    @cached_property
    def _known(self) -> dict[Any, float]:
        """The place of each value of a finite axis, by the value if it is a number and by its text if it is not."""
        keys = self._listed if self._is_number else map(canonical, self._listed)
        return dict(zip(keys, self.middles.tolist(), strict=True))

    @cached_property
    def _is_number(self) -> bool:
        return self.parameter.kind in ("Int", "Float")

    def of(self, value: Any) -> float:
        """Give the place of a value; nan of one that the parameter cannot have."""
        u = self._known.get(value if self._is_number else canonical(value)) if self.is_finite else None
        if u is None:
            u = self.parameter.axis.to_unit(value) if self.parameter.contains(value) else np.nan
        return u

    def snapped(self, column: Floats) -> Floats:
        if not self.is_finite:
            return column
        return self.middles[np.searchsorted(self._borders, column, side="right")]

    def holds(self, condition: Condition, column: Floats) -> Mask:
        """Tell at which of these places a condition on this parameter holds."""
        if self.is_finite:
            table = np.array([condition.holds({self.name: value}) for value in self._listed], dtype=bool)
            return table[np.searchsorted(self.middles, column - 1e-9)]
        return np.array([condition.holds({self.name: self.parameter.from_unit(u)}) for u in column], dtype=bool)

    def columns(self, column: Floats) -> Floats:
        if self.is_split:
            # Half a square each: two different values are at a distance of 1.
            return np.where(np.isclose(column[:, None], self.middles), np.sqrt(0.5), 0.0)
        first, last = (self.middles[0], self.middles[-1]) if self.is_finite else (0.0, 1.0)
        return np.where(np.isnan(column), 0.5, (column - first) / (last - first))[:, None]
