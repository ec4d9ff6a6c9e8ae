"""The contract of an oracle: history in, suggestion out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from choritsu.decisions import Continue, Decision, Fill, Stop
from choritsu.trials import History, Report, Reported

#: What trials have reported so far, by their numbers; each by execution and epoch.
Curves: TypeAlias = Mapping[int, Sequence[Report]]

#: What schedules are made for: the largest budget, or the one that a trial has been given so far.
Horizon: TypeAlias = Literal["full", "rung"]


@runtime_checkable
class Oracle(Protocol):
    """Says what to try next. A frozen dataclass: all its state is its arguments.

    Whatever chance it needs, it draws from (seed, number), so that a restart and any number of parallel
    workers get what an uninterrupted single worker would.

    Attributes:
        fill: where values come from for parameters that the function asks for and nobody knew of: "draw"
            them from (seed, number, name), take the "default", or "believe" the person's `prior`, and draw the others.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "populate_space") and cls.suggest is Oracle.suggest:
            raise TypeError(
                f"{cls.__name__}.populate_space is of Keras Tuner's oracles; write suggest(self, history, number) "
                "instead, which returns Start(values), Wait() or Done(reason) of choritsu.decisions, in a frozen "
                "dataclass without state"
            )

    @property
    def fill(self) -> Fill: ...

    def suggest(self, history: History, number: int) -> Decision:
        """Answer what to do next.

        Args:
            history: every trial claimed so far, with the space known so far.
            number: the number that a new trial would get.

        Returns:
            `Start` a new trial, `Promote` a paused one, `Wait` for running ones, or `Done`.
        """
        ...


@runtime_checkable
class Budgeted(Oracle, Protocol):
    """An oracle that gives trials a part of their training first, and more of it to those that do well.

    Attributes:
        max_epochs: the largest budget, in epochs.
        horizon: whether learning-rate schedules are made for that ("full", so that a promoted trial goes on along
            one curve), or for the budget given so far ("rung", so that each budget ends with a finished schedule).
    """

    @property
    def max_epochs(self) -> int: ...
    @property
    def horizon(self) -> Horizon: ...

    def promotable(self, history: History) -> frozenset[int]:
        """Give the numbers of the paused trials that may yet go on; the state of all others can be deleted."""
        ...


@runtime_checkable
class Forecasting(Oracle, Protocol):
    """An oracle that foretells what trials trained in part will come to."""

    def forecast(self, history: History) -> Mapping[int, float]:
        """Foretell the scores of whole trainings.

        Returns:
            By number, for trials that have reached a rung, those included that are going on: the lower, the better.
            Numbers can only be compared with each other. Empty where nothing can be foretold.
        """
        ...


@runtime_checkable
class DrawnByName(Oracle, Protocol):
    """An oracle of which it can be asked whether what else is known of the space matters.

    Attributes:
        by_name: whether each value follows from (seed, number, name) alone, as `choritsu.space.drawn` has it: then it
            is the same whether its parameter was known beforehand or came to light only as the trial ran.
    """

    @property
    def by_name(self) -> bool: ...


def is_drawn_by_name(oracle: Oracle) -> bool:
    """Tell whether an oracle's values do not depend on when parameters come to light."""
    return isinstance(oracle, DrawnByName) and oracle.by_name


class Stopper(Protocol):
    """Says whether a running trial is worth going on with. A frozen dataclass, like an oracle."""

    def decide(self, history: History, curves: Curves, reported: Reported) -> Continue | Stop:
        """Answer a report.

        Args:
            history: every trial.
            curves: what all trials have reported, this one's latest report included.
            reported: the latest report.
        """
        ...
