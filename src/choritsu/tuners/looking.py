"""What a function asks for, learned before any training: with its defaults, and in each branch that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from choritsu.errors import FatalError, SpaceError
from choritsu.hyperparameters import HyperParameters
from choritsu.space import Condition, Space

#: Makes a recorder that answers with the values given, and knows the definitions of a space.
Recorder: TypeAlias = Callable[[Mapping[str, Any], Space], HyperParameters]


@dataclass(frozen=True)
class Look:
    """What came of it.

    Args:
        space: what the function asks for; None where it raised with its defaults.
        raised: the values with which it raised, none being its defaults, and what.
    """

    space: Space | None
    raised: tuple[tuple[Mapping[str, Any], Exception], ...] = ()


def look_around(ask: Callable[[HyperParameters], bool], recorder: Recorder) -> Look:
    """Call a function with its defaults, and once more for each conditional scope that was entered and never active.

    A branch behind a plain ``if`` is not known of until a trial comes there.

    Args:
        ask: calls the function, and tells whether it is worth calling it again.
        recorder: makes what it is called with.

    Raises:
        FatalError: when the function raises one.
        SpaceError: when it defines something that cannot be.

    Example:
        >>> def build(hp):
        ...     kind = hp.Choice("kind", ["plain", "deep"])
        ...     with hp.conditional_scope("kind", ["deep"]):
        ...         if kind == "deep":
        ...             hp.Int("layers", 2, 9)
        ...     return True
        >>> look = look_around(build, lambda given, known: HyperParameters(given, known=known))
        >>> [parameter.name for parameter in look.space]
        ['kind', 'layers']
    """
    space = Space()
    raised: list[tuple[Mapping[str, Any], Exception]] = []
    waiting: list[Mapping[str, Any]] = [{}]
    seen: set[tuple[Condition, ...]] = set()
    while waiting:
        given = waiting.pop(0)
        hp = recorder(given, space)
        try:
            again = ask(hp)
        except (FatalError, SpaceError):
            raise
        except Exception as error:  # noqa: BLE001  # a user's function may raise anything
            raised.append((given, error))
            continue
        space = space.extended(hp.discovered)
        if not again:
            break
        seen |= {scope for scope, active in hp.scopes.items() if active}
        for scope in hp.scopes:
            opening = None if scope in seen else _opening(scope, space)
            if opening is not None:
                waiting.append({**given, **opening})
            seen.add(scope)
    return Look(None if raised and not raised[0][0] else space, tuple(raised))


def _opening(scope: tuple[Condition, ...], space: Space) -> dict[str, Any] | None:
    """Give values with which a scope's conditions hold; None where one of them never does."""
    values = {}
    for condition in scope:
        # Of several definitions of a name, who knows which one this will be?
        parents = space.named(condition.name)
        possible = [value for value in condition.values if parents and all(item.contains(value) for item in parents)]
        if not possible:
            return None
        values[condition.name] = possible[0]
    return values
