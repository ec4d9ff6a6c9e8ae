"""Which combinations were tried, and which are left.

A function that asks for hyperparameters one after another is a decision tree: what it asks for next
depends only on the values it was given so far. A combination therefore repeats a trial exactly when
it agrees with everything that the trial asked for, whatever else it says. This holds for conditions
written as scopes and for those written as a plain ``if``, which nobody can see beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from choritsu.space.parameters import Parameter
from choritsu.space.space import Space
from choritsu.space.values import canonical

#: The names of a set of values, sorted, and the values as `canonical` texts in that order.
Combination: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]


def combination(values: Mapping[str, Any]) -> Combination:
    """Give a hashable form of a set of values, the same for all that are equal.

    Example:
        >>> combination({"units": 32, "act": "relu"})
        (('act', 'units'), ('"relu"', '32'))
    """
    names = tuple(sorted(values))
    return names, tuple(canonical(values[name]) for name in names)


class Tried:
    """The combinations of values that were asked for so far.

    Args:
        combinations: the values that each trial asked for.

    Example:
        >>> tried = Tried([{"deep": False}])
        >>> tried.covers({"deep": False, "layers": 3}), tried.covers({"deep": True, "layers": 3})
        (True, False)
    """

    def __init__(self, combinations: Iterable[Mapping[str, Any]] = ()) -> None:
        self._groups: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for values in combinations:
            self._add(combination(values))

    @classmethod
    def of(cls, combinations: Iterable[Combination]) -> Tried:
        """Make it of what `combination` gave, which need not be computed again."""
        tried = cls()
        for known in combinations:
            tried._add(known)
        return tried

    def _add(self, known: Combination) -> None:
        names, texts = known
        self._groups.setdefault(names, set()).add(texts)

    def __iter__(self) -> Iterator[Combination]:
        """Yield each once."""
        return ((names, texts) for names, seen in self._groups.items() for texts in seen)

    def __len__(self) -> int:
        """How many different ones there are."""
        return sum(map(len, self._groups.values()))

    def covers(self, values: Mapping[str, Any]) -> bool:
        """Tell whether a trial with `values` would repeat an earlier one."""
        for names, seen in self._groups.items():
            if all(name in values for name in names) and tuple(canonical(values[name]) for name in names) in seen:
                return True
        return False


def untried(space: Space, tried: Tried) -> Iterator[dict[str, Any]]:
    """Yield every combination not tried yet: the defaults first, then like nested loops, the last fastest.

    A continuous parameter takes part with its ten listed values.

    Args:
        space: the parameters known so far.
        tried: what to leave out.

    Yields:
        Full sets of values, each once.

    Example:
        >>> from choritsu.space import Boolean, Int
        >>> list(untried(Space((Int("a", 1, 2), Boolean("b"))), Tried([{"a": 1, "b": False}])))
        [{'a': 1, 'b': True}, {'a': 2, 'b': False}, {'a': 2, 'b': True}]
    """

    def below(index: int, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        # What is covered here is covered in every completion: the whole branch is done.
        if tried.covers(values):
            return
        while index < len(space):
            parameter = space.parameters[index]
            if parameter.name not in values and parameter.is_active(values):
                for value in _default_first(parameter):
                    yield from below(index + 1, {**values, parameter.name: value})
                return
            index += 1
        yield values

    return below(0, {})


def _default_first(parameter: Parameter) -> Iterator[Any]:
    """Yield one by one, since an integer may have more values than fit into memory."""
    start = canonical(parameter.start)
    yield parameter.start
    size = parameter.size
    values = parameter.listed() if size is None else map(parameter.axis.value_at, range(size))
    for value in values:
        if canonical(value) != start:
            yield value
