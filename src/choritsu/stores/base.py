"""The contract of a store: what was tried, kept so that nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from choritsu.space import Space
from choritsu.trials import DEFAULT_OBJECTIVE, Claimed, Event, History, Objective, Report


@dataclass(frozen=True)
class Identity:
    """What a search is, written when it first begins and compared when its script runs again.

    Args:
        objective: what it optimises.
        seed: the seed of its suggestions and trainings.
        created: when it began, in seconds since 1970.
        asked: what the function asked for when it was first called with its defaults; None if it was not.
        settings: facts for people, such as the oracle's name and `max_trials`; JSON values only.
    """

    objective: Objective = DEFAULT_OBJECTIVE
    seed: int = 0
    created: float = 0.0
    asked: Space | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lease:
    """Who works on a running trial, and until when that is believed without a renewal."""

    number: int
    attempt: int
    worker: str
    until: float


def voided(ends: Mapping[int, str | None]) -> frozenset[int]:
    """Give the attempts of a trial whose reports count for nothing: they failed, or one did that went on from them.

    What has failed counts until another attempt is begun, and so does what had a result before.

    Args:
        ends: how each attempt ended: "finished", "failed" or otherwise; None while it runs.

    Example:
        >>> sorted(voided({0: "interrupted", 1: "failed", 2: None}))
        [0, 1]
        >>> sorted(voided({0: "finished", 1: "failed", 2: None}))
        [1]
    """
    found, tried_again = set(), False
    for attempt in sorted(ends, reverse=True):
        if ends[attempt] == "failed" and attempt < max(ends):
            tried_again = True
        elif ends[attempt] == "finished":
            tried_again = False
        if tried_again:
            found.add(attempt)
    return frozenset(found)


class Store(Protocol):
    """Where a search is kept. Several processes may use one store at the same time, without locks.

    A claim is one INSERT; a unique constraint decides who was first. Each method is atomic and durable
    when it returns.
    """

    def identity(self) -> Identity | None:
        """Give what `begin` or `identify` wrote last; None in a new store."""
        ...

    def begin(self, identity: Identity) -> bool:
        """Write what a new search is.

        Returns:
            False when somebody else was first; then nothing was written.
        """
        ...

    def identify(self, identity: Identity) -> None:
        """Write what the search is, replacing what was written before."""
        ...

    def history(self) -> History:
        """Give every trial in the order of numbers, with the space and the identity's objective."""
        ...

    def reports(self, number: int | None = None) -> Mapping[int, tuple[Report, ...]]:
        """Give the reports of one trial, or of all, by trial number, ordered by execution and epoch.

        Where several attempts reported the same execution and epoch, the latest attempt counts. What an attempt that
        failed has told, and those that it went on from, counts for nothing once another one was begun.
        Trials that reported nothing are absent.
        """
        ...

    def claim(self, claim: Claimed, until: float) -> bool:
        """Claim a trial, or its next attempt, and lease it until the time `until`.

        Returns:
            False when somebody else was first, or the attempt before it has not ended; then nothing was written.

        Raises:
            ValueError: when a number or an attempt would be left out.
        """
        ...

    def renew(self, number: int, attempt: int, until: float) -> bool:
        """Extend a lease.

        Returns:
            False when that attempt has ended in the meantime (another worker held it for lost).
        """
        ...

    def leases(self) -> Mapping[int, Lease]:
        """Give the leases of the running attempts, by trial number."""
        ...

    def record(self, event: Event) -> bool:
        """Keep an event other than a claim; an outcome also ends the attempt's lease.

        Returns:
            False when the attempt had ended already, or this execution and epoch was reported already
            in this attempt; then nothing was written.

        Raises:
            RedefinedError: when a parameter is known under another definition.
            ValueError: when the attempt was never claimed.
        """
        ...

    def redefine(self, space: Space) -> None:
        """Replace the space, keeping all trials."""
        ...

    def close(self) -> None:
        """Let go of files and connections; closing twice is harmless."""
        ...
