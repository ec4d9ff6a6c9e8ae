"""Random search (Bergstra & Bengio, 2012, https://jmlr.org/papers/v13/bergstra12a.html)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from choritsu.chance import unit
from choritsu.decisions import Decision, Done, Fill, Start, Wait
from choritsu.space import drawn, untried
from choritsu.trials import History, Status

#: How often a repetition is drawn anew before the combinations that remain are listed.
DRAWS = 64
#: How many of the remaining combinations are listed to choose from.
LISTED = 4096


@dataclass(frozen=True)
class Random:
    """Draws each parameter independently and uniformly on its axis, never the same combination twice.

    The draw for a parameter depends on (seed, number, name) alone: a parameter that only one branch of the
    function asks for gets the value it would have had, had it been known from the start.

    Args:
        seed: any integer.

    Example:
        >>> from choritsu.space import Int, Space
        >>> history = History(Space((Int("units", 1, 100),)))
        >>> Random(seed=5).suggest(history, 0) == Random(seed=5).suggest(history, 0)
        True
    """

    seed: int = 0
    fill: ClassVar[Fill] = "draw"

    def suggest(self, history: History, number: int) -> Decision:
        """Draw a combination that was not tried yet; `Done` when none is left."""

        def draw(attempt: int) -> dict[str, Any]:
            return history.space.assign(lambda parameter: drawn(self.seed, number, parameter, attempt))

        return first_untried(history, draw, choice=lambda: unit(self.seed, number, "remaining"))


def first_untried(history: History, draw: Callable[[int], dict[str, Any]], choice: Callable[[], float]) -> Decision:
    """Give the first of several draws that repeats nothing.

    Args:
        history: what was tried.
        draw: gives the draw number `attempt`, from 0.
        choice: gives a number in [0, 1) that picks one of the remaining combinations, when draws keep repeating.

    Returns:
        `Start` with a new combination, `Wait` while it cannot be told what would repeat a trial, or `Done`
        when every combination was tried.
    """
    if looks_around(history):
        return Wait()
    tried = history.tried
    for attempt in range(DRAWS):
        values = draw(attempt)
        if not tried.covers(values):
            return Start(values)
    remaining = list(islice(untried(history.space, tried), LISTED))
    if not remaining:
        return exhausted(history)
    return Start(remaining[int(choice() * len(remaining))])


def looks_around(history: History) -> bool:
    """Tell whether a trial is running that was started without knowing of any parameter: nobody knows its values."""
    return any(
        not trial.suggested and not trial.enqueued and trial.result is None for trial in history.having(Status.RUNNING)
    )


def exhausted(history: History) -> Done:
    """Say that nothing is left to try."""
    infinite = any(parameter.size is None for parameter in history.space)
    return Done(
        "every listed combination has been tried"
        if infinite
        # Not the size of the space, which knows nothing of a plain `if` in the function.
        else f"every combination has been tried ({len(history.tried):,} in all)"
    )
