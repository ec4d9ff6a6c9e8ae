"""A store in memory: for tests, and for searches that nobody will want to continue."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast, final

from choritsu.space import Space, decode, encode
from choritsu.stores.base import Identity, Lease, voided
from choritsu.trials import Claimed, Event, Finished, Grew, History, Interrupted, Lost, Report, Reported


@final
class MemoryStore:
    """A `Store` that ends with the process; threads may share it.

    Like a store on disk it keeps copies, and refuses with a TypeError what cannot be written as JSON.

    Example:
        >>> store = MemoryStore()
        >>> store.claim(Claimed(0, 0, {"units": 64}), until=60.0), store.claim(Claimed(0, 0, {}), until=60.0)
        (True, False)
        >>> [trial.values for trial in store.history()]
        [{'units': 64}]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identity: Identity | None = None
        self._history = History()
        #: How the attempts of each trial ended; None while they run.
        self._ends: dict[int, dict[int, str | None]] = {}
        self._reports: dict[int, dict[tuple[int, int, int], Report]] = {}
        self._leases: dict[int, Lease] = {}

    def identity(self) -> Identity | None:
        return self._identity

    def begin(self, identity: Identity) -> bool:
        with self._lock:
            if self._identity is not None:
                return False
            self._identify(identity)
            return True

    def identify(self, identity: Identity) -> None:
        with self._lock:
            self._identify(identity)

    def _identify(self, identity: Identity) -> None:
        self._identity = replace(identity, settings=_copied(identity.settings))
        self._history = replace(self._history, objective=identity.objective)

    def history(self) -> History:
        return self._history

    def reports(self, number: int | None = None) -> Mapping[int, tuple[Report, ...]]:
        with self._lock:
            numbers = sorted(self._reports) if number is None else [number] if number in self._reports else []
            void = {trial: voided(self._ends[trial]) for trial in numbers}
            kept = {
                trial: sorted(
                    (item for item in self._reports[trial].items() if item[0][0] not in void[trial]),
                    key=lambda item: item[0],
                )
                for trial in numbers
            }
        latest: dict[int, dict[tuple[int, int], Report]] = {}
        for trial, by_attempt in kept.items():
            # A later attempt comes later, and takes the place of an earlier one.
            latest[trial] = {(execution, epoch): report for (_, execution, epoch), report in by_attempt}
        told = {trial: by_epoch for trial, by_epoch in latest.items() if by_epoch}
        return {trial: tuple(report for _, report in sorted(by_epoch.items())) for trial, by_epoch in told.items()}

    def claim(self, claim: Claimed, until: float) -> bool:
        with self._lock:
            place = (claim.number, claim.attempt)
            if claim.attempt in self._ends.get(claim.number, ()):
                return False
            if claim.attempt == 0:
                if claim.number != len(self._history):
                    raise ValueError(f"trial {claim.number} cannot be claimed: the next is {len(self._history)}")
            elif not self._has_ended(claim.number, claim.attempt - 1):
                return False
            self._history = self._history.after(replace(claim, values=_copied(claim.values)))
            self._ends.setdefault(claim.number, {})[claim.attempt] = None
            self._leases[claim.number] = Lease(*place, claim.worker, until)
            return True

    def renew(self, number: int, attempt: int, until: float) -> bool:
        with self._lock:
            lease = self._leases.get(number)
            if lease is None or lease.attempt != attempt:
                return False
            self._leases[number] = replace(lease, until=until)
            return True

    def leases(self) -> Mapping[int, Lease]:
        with self._lock:
            return dict(sorted(self._leases.items()))

    def record(self, event: Event) -> bool:
        match event:
            case Claimed():
                raise TypeError("a claim needs a lease: write claim(event, until) instead of record(event)")
            case Grew():
                with self._lock:
                    self._history = self._history.after(event)
                return True
            case Reported():
                return self._record_report(event)
        with self._lock:
            if self._has_ended(event.number, event.attempt):
                return False
            if not isinstance(event, Interrupted | Lost):
                event = replace(event, values=_copied(event.values))
            if isinstance(event, Finished):
                event = replace(event, result=replace(event.result, metrics=_copied(event.result.metrics)))
            self._history = self._history.after(event)
            self._ends[event.number][event.attempt] = type(event).__name__.lower()
            del self._leases[event.number]
            return True

    def redefine(self, space: Space) -> None:
        with self._lock:
            self._history = replace(self._history, space=space)

    def close(self) -> None:
        pass

    def _record_report(self, event: Reported) -> bool:
        report = event.report
        place = (event.attempt, report.execution, report.epoch)
        with self._lock:
            if self._has_ended(event.number, event.attempt) or place in self._reports.get(event.number, {}):
                return False
            kept = replace(report, metrics=_copied(report.metrics))
            self._reports.setdefault(event.number, {})[place] = kept
            return True

    def _has_ended(self, number: int, attempt: int) -> bool:
        ends = self._ends.get(number, {})
        if attempt not in ends:
            raise unclaimed(number, attempt)
        return ends[attempt] is not None


def unclaimed(number: int, attempt: int) -> ValueError:
    """Make the error for an event of an attempt that nobody claimed."""
    return ValueError(
        f"attempt {attempt} of trial {number} was never claimed; call claim before anything else about it"
    )


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", {name: decode(encode(value)) for name, value in values.items()})
