"""What an oracle or a stopper may answer. Small immutable values; one loop carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

#: How a parameter that a function asks for, and nobody knew of, gets its value:
#: drawn at random from (seed, trial number, name), or its default.
Fill: TypeAlias = Literal["draw", "default", "believe"]


@dataclass(frozen=True)
class Start:
    """Begin a new trial.

    Args:
        values: a value for each parameter known so far.
        until: after how many epochs it is to pause, its state kept; None for a training in one go.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    until: int | None = None


@dataclass(frozen=True)
class Promote:
    """Let a trial that has paused go on from where it was.

    Args:
        number: the trial's.
        until: after how many epochs, counted from its very beginning, it is to pause again.
    """

    number: int
    until: int


@dataclass(frozen=True)
class Repeat:
    """Let a completed trial be trained once more, with another seed.

    Args:
        number: the trial's.
    """

    number: int


@dataclass(frozen=True)
class Wait:
    """Nothing can be decided until a running trial reports."""


@dataclass(frozen=True)
class Done:
    """The search is over; `reason` says why, to a person."""

    reason: str


@dataclass(frozen=True)
class Continue:
    """Let the trial go on."""


@dataclass(frozen=True)
class Stop:
    """End the trial here; what it has reached counts.

    Args:
        reason: why, to a person.
        taken: whether another process has taken the trial over, so that nothing of this attempt counts.
    """

    reason: str = ""
    taken: bool = False


@dataclass(frozen=True)
class Pause:
    """Save the trial's state and leave it; it is taken up again from there."""


Decision: TypeAlias = Start | Promote | Wait | Done
Answer: TypeAlias = Continue | Stop | Pause
