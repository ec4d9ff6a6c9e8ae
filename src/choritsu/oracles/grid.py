"""Grid search: every combination once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from choritsu.decisions import Decision, Fill, Start, Wait
from choritsu.oracles.random import exhausted, looks_around
from choritsu.space import untried
from choritsu.trials import History


@dataclass(frozen=True)
class Grid:
    """Tries every combination once: the defaults first, then like nested loops, the last parameter fastest.

    A float without a step takes part with ten evenly spaced values, both ends included. Conditions
    are followed, and so are branches of the function that only come to light while it runs.

    Example:
        >>> from choritsu.space import Boolean, Space
        >>> Grid().suggest(History(Space((Boolean("deep", default=True),))), 0).values
        {'deep': True}
    """

    fill: ClassVar[Fill] = "default"

    def suggest(self, history: History, number: int) -> Decision:  # noqa: ARG002  # what is left says it all
        """Give the first combination not tried yet; `Done` when none is left."""
        if looks_around(history):
            return Wait()
        for values in untried(history.space, history.tried):
            return Start(values)
        return exhausted(history)
