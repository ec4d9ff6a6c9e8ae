"""A search space: the hyperparameters that a function asks for, in the order in which it does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from choritsu.errors import RedefinedError, SpaceError
from choritsu.space.parameters import Condition as Condition
from choritsu.space.parameters import Parameter, parameter_from_json
from choritsu.space.values import Json, canonical


@dataclass(frozen=True)
class Space:
    """An immutable sequence of parameters, parents before their children.

    A name may stand more than once, under different conditions.

    Args:
        parameters: in the order in which they are asked for.

    Raises:
        SpaceError: when a condition names a parameter that does not come before it.
        RedefinedError: when one name is defined twice under the same conditions.

    Example:
        >>> from choritsu.space import Boolean, Int
        >>> space = Space((Boolean("deep"), Int("layers", 2, 9, conditions=(Condition("deep", (True,)),))))
        >>> [parameter.name for parameter in space.active({"deep": False})]
        ['deep']
        >>> space.size
        9
    """

    parameters: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        known: dict[str, Parameter] = {}
        names: set[str] = set()
        for parameter in self.parameters:
            for condition in parameter.conditions:
                if condition.name not in names:
                    raise SpaceError(
                        f"{parameter.name!r} depends on {condition.name!r}, which is not defined before it; "
                        f"ask for {condition.name!r} first"
                    )
            twin = known.setdefault(parameter.key, parameter)
            if twin is not parameter:
                raise redefined(twin, parameter)
            names.add(parameter.name)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @cached_property
    def names(self) -> frozenset[str]:
        """The names there are."""
        return frozenset(parameter.name for parameter in self.parameters)

    def named(self, name: str) -> tuple[Parameter, ...]:
        """Give every definition of `name`, one for each set of conditions."""
        return tuple(parameter for parameter in self.parameters if parameter.name == name)

    def find(self, parameter: Parameter) -> Parameter | None:
        """Give the definition with the same name and conditions, if there is one."""
        return self._by_key.get(parameter.key)

    @cached_property
    def _by_key(self) -> dict[str, Parameter]:
        return {parameter.key: parameter for parameter in self.parameters}

    def extended(self, parameters: Iterable[Parameter]) -> Space:
        """Give the space with those of `parameters` that it does not hold yet.

        Raises:
            RedefinedError: when one of them disagrees with a definition held already.
        """
        known = dict(self._by_key)
        for parameter in parameters:
            twin = known.setdefault(parameter.key, parameter)
            if twin != parameter:
                raise redefined(twin, parameter)
        return self if len(known) == len(self) else Space(tuple(known.values()))

    def active(self, values: Mapping[str, Any]) -> Iterator[Parameter]:
        """Yield the parameters whose conditions `values` meets, in order."""
        present: dict[str, Any] = {}
        for parameter in self.parameters:
            if all(condition.holds(present) for condition in parameter.conditions):
                if parameter.name in values:
                    present[parameter.name] = values[parameter.name]
                yield parameter

    def assign(self, choose: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Give a full set of values, asking `choose` for each parameter that is active.

        Example:
            >>> from choritsu.space import Int
            >>> Space((Int("units", 32, 128),)).assign(lambda parameter: parameter.start)
            {'units': 32}
        """
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name not in values and all(condition.holds(values) for condition in parameter.conditions):
                values[parameter.name] = choose(parameter)
        return values

    @cached_property
    def parents(self) -> frozenset[str]:
        """The names that some condition asks about."""
        return frozenset(condition.name for parameter in self for condition in parameter.conditions)

    @cached_property
    def size(self) -> int | None:
        """How many combinations there are, conditions respected; None when a float has no step."""
        if any(parameter.size is None for parameter in self.parameters):
            return None
        return self._count(0, {})

    def _count(self, index: int, assigned: dict[str, Any]) -> int:
        if index == len(self.parameters):
            return 1
        parameter = self.parameters[index]
        if parameter.name in assigned or not all(condition.holds(assigned) for condition in parameter.conditions):
            return self._count(index + 1, assigned)
        size = parameter.size or 0
        if parameter.name not in self.parents:
            # Its name must still be known as taken, should it stand again under other conditions.
            return size * self._count(index + 1, {**assigned, parameter.name: None})
        # Only the values that conditions mention differ in what they unlock; the rest count alike.
        told = {
            canonical(value): value
            for child in self.parameters
            for condition in child.conditions
            if condition.name == parameter.name
            for value in condition.values
            if parameter.contains(value)
        }
        total = sum(self._count(index + 1, {**assigned, parameter.name: value}) for value in told.values())
        rest = size - len(told)
        if rest > 0:
            total += rest * self._count(index + 1, {**assigned, parameter.name: _Other()})
        return total

    def to_json(self) -> list[dict[str, Json]]:
        """Encode the space as JSON; `Space.from_json` reads it."""
        return [parameter.to_json() for parameter in self.parameters]

    @classmethod
    def from_json(cls, data: Iterable[Mapping[str, Any]]) -> Space:
        """Read what `to_json` wrote.

        Example:
            >>> from choritsu.space import Boolean
            >>> Space.from_json(Space((Boolean("deep"),)).to_json()) == Space((Boolean("deep"),))
            True
        """
        return cls(tuple(parameter_from_json(item) for item in data))


class _Other(tuple[()]):
    """Stands for a parent's values that no condition mentions; `canonical` of it matches no scalar choice."""


def redefined(known: Parameter, asked: Parameter) -> RedefinedError:
    """Make the error for one name with two definitions."""
    return RedefinedError(
        known.name,
        known.definition,
        asked.definition,
        f"{known.name!r} is {known.definition}, and was asked for again as {asked.definition}; "
        "one name must keep one definition: write another name for the second",
    )


def describe_size(space: Space) -> str:
    """Say in words how many combinations a space has.

    Example:
        >>> from choritsu.space import Int
        >>> describe_size(Space((Int("a", 1, 10), Int("b", 1, 100))))
        '1,000 combinations'
    """
    size = space.size
    if size is None:
        return "infinitely many combinations"
    if size == 1:
        return "1 combination"
    if size >= 10**12:
        return f"about 10^{int(math.log10(size))} combinations"
    return f"{size:,} combinations"
