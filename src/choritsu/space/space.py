"""A search space: the hyperparameters that a function asks for, in the order in which it does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from choritsu.errors import RedefinedError, SpaceError
from choritsu.space.parameters import Condition as Condition
from choritsu.space.parameters import Parameter, parameter_from_json
from choritsu.space.values import Json, canonical, decode


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
        """Give the space with those of `parameters` that it does not hold yet; of beliefs, the latest counts.

        Raises:
            RedefinedError: when one of them disagrees with a definition held already.
        """
        known = dict(self._by_key)
        for parameter in parameters:
            twin = known.get(parameter.key, parameter)
            if not twin.agrees(parameter):
                raise redefined(twin, parameter)
            known[parameter.key] = parameter
        extended = tuple(known.values())
        return self if extended == self.parameters else Space(extended)

    def active(self, values: Mapping[str, Any]) -> Iterator[Parameter]:
        """Yield the parameters whose conditions `values` meets, in order."""
        present: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_active(present):
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
            if parameter.name not in values and parameter.is_active(values):
                values[parameter.name] = choose(parameter)
        return values

    @cached_property
    def size(self) -> int | None:
        """How many combinations there are, conditions respected; None when a float has no step."""
        if any(parameter.size is None for parameter in self.parameters):
            return None
        return math.prod(_count(part) for part in _parts(self.parameters))

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


def _parts(parameters: Sequence[Parameter]) -> list[list[Parameter]]:
    """Split parameters into parts that do not depend on each other, by condition or by a shared name."""
    part_of: dict[str, set[str]] = {}
    for parameter in parameters:
        joined = {parameter.name}
        for name in (parameter.name, *(condition.name for condition in parameter.conditions)):
            joined |= part_of.get(name, {name})
        for name in joined:
            part_of[name] = joined
    parts: dict[int, list[Parameter]] = {}
    for parameter in parameters:
        parts.setdefault(id(part_of[parameter.name]), []).append(parameter)
    return list(parts.values())


def _count(parameters: Sequence[Parameter]) -> int:
    """Count the combinations of finite parameters, walking them once.

    Carried along is, for each set of values that can still matter, in how many ways it comes about. A value
    is its `canonical` text, or "" for all those that no condition mentions.
    """
    last_needed = {
        name: index
        for index, parameter in enumerate(parameters)
        for name in (parameter.name, *(condition.name for condition in parameter.conditions))
    }
    mentioned: dict[str, set[str]] = {}
    for parameter in parameters:
        for condition in parameter.conditions:
            mentioned.setdefault(condition.name, set()).update(condition.texts)
    ways: dict[frozenset[tuple[str, str]], int] = {frozenset(): 1}
    for index, parameter in enumerate(parameters):
        told = [text for text in _texts(parameter, mentioned) if last_needed[parameter.name] > index]
        following: dict[frozenset[tuple[str, str]], int] = {}
        for state, count in ways.items():
            values = dict(state)
            active = parameter.name not in values and all(
                values.get(condition.name) in condition.texts for condition in parameter.conditions
            )
            branches: list[tuple[str | None, int]] = [(None, 1)]
            if active:
                rest = (parameter.size or 0) - len(told)
                branches = [*((text, 1) for text in told), ("", rest)]
            for text, times in branches:
                kept = values if text is None else {**values, parameter.name: text}
                still = frozenset((name, value) for name, value in kept.items() if last_needed[name] > index)
                following[still] = following.get(still, 0) + count * times
        ways = following
    return sum(ways.values())


def _texts(parameter: Parameter, mentioned: Mapping[str, set[str]]) -> list[str]:
    """Give those of the values that conditions mention which the parameter can really take."""
    wanted = mentioned.get(parameter.name, set())
    found = []
    for text in wanted:
        value = decode(json.loads(text)) if text not in ("inf", "-inf", "nan") else float(text)
        if parameter.contains(value) and canonical(parameter.axis.from_unit(parameter.axis.to_unit(value))) == text:
            found.append(text)
    return found


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
