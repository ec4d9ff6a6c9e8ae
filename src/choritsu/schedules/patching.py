"""Seeing what a class of somebody else's does, for as long as somebody watches, and leaving it as it was."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What is called in place of a method: with the method, its object and what it was given.
Instead = Callable[..., Any]

#: Two threads that begin and end to watch at once shall not lose each other. Reentrant, because whoever watches may be
#: collected as garbage, and end to, in the midst of it.
_ONE_AT_A_TIME = threading.RLock()

_PATCH = "_choritsu_patch"


@dataclass
class _Patch:
    """What stands in a method's place, the method, and how many watch."""

    method: Callable[..., Any]
    stands: Callable[..., Any]
    users: int = 1


def patch(owner: type, name: str, instead: Instead) -> None:
    """Call `instead` in place of a class' own method, until `unpatch` is called as often.

    Args:
        owner: the class.
        name: of a method that the class itself defines; nothing is done for one that it does not.
        instead: gets the method as its first argument; the same for all who patch this method.
    """
    with _ONE_AT_A_TIME:
        method = vars(owner).get(name)
        if method is None:
            return
        known = getattr(method, _PATCH, None)
        if known is not None and known.users:
            known.users += 1
            return

        @functools.wraps(method)
        def watched(*args: Any, **kwargs: Any) -> Any:
            return instead(method, *args, **kwargs)

        setattr(watched, _PATCH, _Patch(method, watched))
        setattr(owner, name, watched)


def unpatch(owner: type, name: str) -> None:
    """Give a class its own method back, when the last one who patched it asks for that.

    Where somebody else has put something over it since, that stays.
    """
    with _ONE_AT_A_TIME:
        found = vars(owner).get(name)
        known = getattr(found, _PATCH, None)
        if known is None or not known.users:
            return
        known.users -= 1
        # Whoever wraps a function with functools.wraps copies its marks.
        if not known.users and known.stands is found:
            setattr(owner, name, known.method)
