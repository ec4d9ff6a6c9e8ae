"""Fault injection: a store that breaks at a chosen call, to see what becomes of a search."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, final

from choritsu.space import Space
from choritsu.stores import Identity, Lease, Store
from choritsu.trials import Claimed, Event, History, Report

_METHODS = tuple(name for name in vars(Store) if not name.startswith("_"))


class InjectedError(Exception):
    """What a `Fault` raises unless told otherwise."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at one call of a store's method.

    Args:
        method: the method's name.
        call: at which call of it, counted from 1.
        moment: "before" the store hears of the call, or "after" it has done it and before its caller knows.
        error: what is raised; "kill" ends the process on the spot instead, as ``kill -9`` does.

    Raises:
        ValueError: when no such call can come.
    """

    method: str
    call: int = 1
    moment: Literal["before", "after"] = "before"
    error: BaseException | Literal["kill"] = InjectedError("a fault was injected here")  # noqa: RUF009

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ValueError(f"a store has no method {self.method!r}; it has {', '.join(_METHODS)}")
        if self.call < 1:
            raise ValueError(f"calls are counted from 1, got {self.call}")
        if self.moment not in ("before", "after"):
            raise ValueError(f'moment must be "before" or "after", got {self.moment!r}')


@final
class FaultyStore:
    """A `Store` that does what another one does, until a fault comes.

    Args:
        store: the one that does the work.
        plan: what goes wrong, and when.

    Example:
        >>> from choritsu.stores import MemoryStore
        >>> kept = MemoryStore()
        >>> store = FaultyStore(kept, Fault("claim", call=2, moment="after", error=OSError("the disk is gone")))
        >>> store.claim(Claimed(0, 0, {}), until=60.0)
        True
        >>> store.claim(Claimed(1, 0, {}), until=60.0)
        Traceback (most recent call last):
        OSError: the disk is gone
        >>> len(kept.history())
        2
    """

    def __init__(self, store: Store, *plan: Fault) -> None:
        self._store = store
        self._plan = {(fault.method, fault.call, fault.moment): fault for fault in plan}
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def identity(self) -> Identity | None:
        with self._call("identity"):
            return self._store.identity()

    def begin(self, identity: Identity) -> bool:
        with self._call("begin"):
            return self._store.begin(identity)

    def identify(self, identity: Identity) -> None:
        with self._call("identify"):
            self._store.identify(identity)

    def history(self) -> History:
        with self._call("history"):
            return self._store.history()

    def reports(self, number: int | None = None) -> Mapping[int, tuple[Report, ...]]:
        with self._call("reports"):
            return self._store.reports(number)

    def claim(self, claim: Claimed, until: float) -> bool:
        with self._call("claim"):
            return self._store.claim(claim, until)

    def renew(self, number: int, attempt: int, until: float) -> bool:
        with self._call("renew"):
            return self._store.renew(number, attempt, until)

    def leases(self) -> Mapping[int, Lease]:
        with self._call("leases"):
            return self._store.leases()

    def record(self, event: Event) -> bool:
        with self._call("record"):
            return self._store.record(event)

    def redefine(self, space: Space) -> None:
        with self._call("redefine"):
            self._store.redefine(space)

    def close(self) -> None:
        with self._call("close"):
            self._store.close()

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with self._lock:
            self._calls[method] += 1
            call = self._calls[method]
        _strike(self._plan.get((method, call, "before")))
        yield
        _strike(self._plan.get((method, call, "after")))


def _strike(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.error == "kill":
        # Windows knows no SIGKILL; there SIGTERM is as sudden.
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    else:
        raise fault.error
