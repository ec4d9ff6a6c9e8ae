"""What an expression may be: numbers, functions, objects, and strangers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from choritsu.lint.names import FunctionNode, Position, Scope, Site
from choritsu.lint.quantities import Quantity


@dataclass(frozen=True)
class Text:
    """A string."""

    text: str


@dataclass(frozen=True)
class Nothing:
    """None."""


@dataclass(frozen=True)
class Truth:
    """The outcome of a comparison; None if it cannot be decided."""

    holds: bool | None


@dataclass(frozen=True, eq=False)
class Items:
    """A list or tuple; open if there may be more in it, an array if arithmetic is done on each item."""

    items: tuple[Value, ...]
    open: bool = False
    array: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """A dictionary with known keys; open if there may be more in it."""

    entries: tuple[tuple[object, Value], ...]
    open: bool = False

    def get(self, key: object) -> Value | None:
        """Look a key up."""
        return next((value for name, value in reversed(self.entries) if name == key), None)


@dataclass(frozen=True)
class Stranger:
    """Something that this file does not define, under its dotted name."""

    path: str


@dataclass(frozen=True)
class Function:
    """A function of this file, with what is bound to it."""

    scope: Scope
    frame: Frame
    owner: Instance | None = None
    arguments: tuple[Value, ...] = ()
    keywords: tuple[tuple[str, Value], ...] = ()

    @property
    def node(self) -> FunctionNode:
        """The definition."""
        assert isinstance(self.scope.node, FunctionNode)
        return self.scope.node


@dataclass(frozen=True)
class Instance:
    """An object of a class of this file; without arguments, any object of it."""

    scope: Scope
    arguments: tuple[Value, ...] | None = None
    keywords: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Class:
    """A class of this file."""

    scope: Scope


@dataclass(frozen=True)
class Made:
    """What a call of something foreign gave."""

    node: ast.Call
    frame: Frame


@dataclass(frozen=True)
class Schedule:
    """A schedule of this library.

    Args:
        unit: 0 for a factor, 1 for a rate.
        varies: it is a curve that is counted from the start.
        ends: the numbers that it was made to run between, as far as they are known.
        functions: what it was made of, where that is a user's.
        base: the rate that made it one of a factor.
    """

    unit: int
    varies: bool = False
    ends: tuple[Quantity, ...] = ()
    functions: tuple[Function, ...] = ()
    base: Quantity | None = None


Value: TypeAlias = (
    Quantity | Text | Nothing | Truth | Items | Table | Stranger | Function | Instance | Class | Made | Schedule
)


@dataclass(frozen=True)
class Frame:
    """Where an expression is looked at: its site, and the values of interpreted functions around it."""

    site: Site
    variables: Mapping[str, Value] | None = None
    outer: Frame | None = None

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def at(self, position: Position) -> Frame:
        """The same, at another place."""
        return Frame(replace(self.site, position=position), self.variables, self.outer)


class Reader(Protocol):
    """Who tells what expressions may be; see `Evaluator`."""

    bold: bool

    def values(self, node: ast.expr, frame: Frame) -> list[Value]:
        """Give all that an expression may be."""
        ...

    def quantity(self, node: ast.expr, frame: Frame) -> Quantity:
        """Give what is common to all that an expression may be, as a number."""
        ...

    def number(self, value: Value) -> Quantity:
        """Read a value as a number."""
        ...

    def decisive(self, value: Value) -> float | None:
        """Give the number that conditions may be decided by; None if there is none."""
        ...

    def one(self, values: list[Value]) -> Value:
        """Make one value of several possible ones."""
        ...

    def named(self, name: str, values: list[Value], inside: bool = False) -> list[Value]:
        """Let a name speak."""
        ...

    def test(self, node: ast.expr, frame: Frame) -> bool | None:
        """Decide a condition; None if it depends on what is unknown."""
        ...

    def function(self, node: FunctionNode, frame: Frame) -> Value:
        """Give the function that a definition makes."""
        ...

    def exhausted(self) -> bool:
        """Whether enough has been looked at."""
        ...
