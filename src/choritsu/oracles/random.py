"""Random search (Bergstra & Bengio, 2012, https://jmlr.org/papers/v13/bergstra12a.html)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from choritsu.chance import unit
from choritsu.decisions import Decision, Done, Fill, Start, Wait
from choritsu.space import Tried, combination, drawn, untried
from choritsu.trials import History, Status, Trial

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
    by_name: ClassVar[bool] = True

    def suggest(self, history: History, number: int) -> Decision:
        """Draw a combination that was not tried yet; `Done` when none is left."""

        def draw(attempt: int) -> dict[str, Any]:
            return history.space.assign(lambda parameter: drawn(self.seed, number, parameter, attempt))

        return first_untried(history, draw, self.seed, number)


def first_untried(history: History, draw: Callable[[int], dict[str, Any]], seed: int, number: int) -> Decision:
    """Give the first of several draws that repeats nothing.

    Args:
        history: what was tried.
        draw: gives the draw number `attempt`, from 0.
        seed: the search's seed.
        number: the trial's number.

    Returns:
        `Start` with a new combination, `Wait` while it cannot be told what would repeat a trial, or `Done`
        when every combination was tried.
    """
    first = [trial.number for trial in _lookers(history)]
    if first and (not len(history.space) or any(parameter.has_prior for parameter in history.space)):
        # Nothing is known of them; or they may have tried what is believed, as some oracles have it.
        return Wait()
    tried = history.tried
    if first:
        # What they have drawn for themselves follows from their numbers, now that it is known what they ask for.
        guesses = [history.space.assign(lambda item, at=at: drawn(seed, at, item)) for at in first]  # type: ignore[misc]
        tried = Tried.of([*tried, *map(combination, guesses)])
    for attempt in range(DRAWS):
        values = draw(attempt)
        if not tried.covers(values):
            return Start(values)
    remaining = list(islice(untried(history.space, tried), LISTED))
    if not remaining:
        return exhausted(history)
    return Start(remaining[int(unit(seed, number, "remaining") * len(remaining))])


def looks_around(history: History) -> bool:
    """Tell whether a trial is running that was started without knowing of any parameter: nobody knows its values."""
    return bool(_lookers(history))


def _lookers(history: History) -> list[Trial]:
    return [
        trial
        for trial in history.having(Status.RUNNING)
        if not trial.suggested and not trial.enqueued and trial.result is None
    ]


def exhausted(history: History) -> Done:
    """Say that nothing is left to try."""
    infinite = any(parameter.size is None for parameter in history.space)
    return Done(
        "every listed combination has been tried"
        if infinite
        # Not the size of the space, which knows nothing of a plain `if` in the function.
        else f"every combination has been tried ({len(history.tried):,} in all)"
    )
