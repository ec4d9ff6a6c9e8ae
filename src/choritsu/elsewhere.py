"""What users of other libraries write, and what to write here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NoReturn


def lacking(owner: str, name: str, instead: Mapping[str, str]) -> AttributeError:
    """Give the error of a name that something does not have, with what takes its place.

    Args:
        owner: what was asked for it.
        name: what was asked for.
        instead: what takes the place of names that other libraries have.

    Example:
        >>> str(lacking("module 'choritsu'", "Logger", {"Logger": "every trial is in search.db"}))
        "module 'choritsu' has no attribute 'Logger': every trial is in search.db"
    """
    return AttributeError(f"{owner} has no attribute {name!r}" + (f": {instead[name]}" if name in instead else ""))


class Translating:
    """Knows what other libraries call what it has.

    Attributes:
        _elsewhere: what to write, by the name that another library has for it.

    Example:
        >>> class Study(Translating):
        ...     _elsewhere = {"best_params": "write best"}
        >>> Study().best_params
        Traceback (most recent call last):
        AttributeError: 'Study' object has no attribute 'best_params': write best
    """

    _elsewhere: ClassVar[Mapping[str, str]] = {}

    # Not for type checkers, to which any name would then do.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name in type(self)._elsewhere and not hasattr(type(self), name):
                raise lacking(f"{type(self).__name__!r} object", name, self._elsewhere)
            # In Python's own words; or in those of a property that has raised, which for that is asked once more.
            return object.__getattribute__(self, name)
