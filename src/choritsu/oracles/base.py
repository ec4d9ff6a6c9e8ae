"""The contract of an oracle: history in, suggestion out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from choritsu.decisions import Decision, Fill
from choritsu.trials import History


@runtime_checkable
class Oracle(Protocol):
    """Says what to try next. A frozen dataclass: all its state is its arguments.

    Whatever chance it needs, it draws from (seed, number), so that a restart and any number of parallel
    workers get what an uninterrupted single worker would.

    Attributes:
        fill: where values come from for parameters that the function asks for and nobody knew of: "draw"
            them from (seed, number, name), or take the "default".
    """

    @property
    def fill(self) -> Fill: ...

    def suggest(self, history: History, number: int) -> Decision:
        """Answer what to do next.

        Args:
            history: every trial claimed so far, with the space known so far.
            number: the number that a new trial would get.

        Returns:
            `Start` a new trial, `Wait` for running ones, or `Done`.
        """
        ...
