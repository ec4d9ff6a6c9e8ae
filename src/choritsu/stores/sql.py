"""A store in a relational database, in typed tables that any SQL tool can read.

========== ====================================================================================
search     what the search is: a single row
parameters the space, in order
claims     who took which trial, and with which values; only ever added to
leases     who works on what, and until when that is believed
reports    the metrics of each epoch; only ever added to
outcomes   how each attempt ended; only ever added to
========== ====================================================================================

Trials are not kept: `History` folds claims and outcomes into them, here as everywhere.

What differs between databases is the engine's business (see `choritsu.stores.opening`). It must give reads
one snapshot per transaction, and let transactions with the execution option ``writes`` follow one another,
so that row numbers grow in the order in which rows become visible.
"""

from __future__ import annotations

import json
import math
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast, final

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Dialect,
    Double,
    Engine,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from choritsu.errors import CorruptStoreError, ReadOnlyStoreError, StoreError
from choritsu.space import Json, Space, decode, encode
from choritsu.stores.base import Identity, Lease, voided
from choritsu.stores.memory import unclaimed
from choritsu.trials import (
    DEFAULT_OBJECTIVE,
    Claimed,
    Event,
    Failed,
    Finished,
    Grew,
    History,
    Interrupted,
    Lost,
    Objective,
    Outcome,
    Refused,
    Report,
    Reported,
    Result,
)

#: Raised whenever a table changes; an older choritsu then refuses the store.
SCHEMA_VERSION = 4

#: How JSON is written: strictly, so that every tool can read it.
write_json = partial(json.dumps, allow_nan=False, separators=(",", ":"))


class _Words(TypeDecorator[str]):
    """Text from anywhere: what UTF-8 cannot hold, such as a broken file name in a message, is escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.encode("utf-8", "backslashreplace").decode("utf-8")


_AnyRow: TypeAlias = Row[*tuple[Any, ...]]

metadata = MetaData()

_search = Table(
    "search",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("objective", _Words, nullable=False),
    Column("direction", _Words, nullable=False),
    # Text, because a seed may be longer than the integers of SQL.
    Column("seed", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("asked", JSON(none_as_null=True)),
    Column("settings", JSON, nullable=False),
    # Where there are several objectives: name and direction of each, and whether trials are compared by each.
    Column("parts", JSON(none_as_null=True)),
    Column("pareto", Boolean),
)
_parameters = Table(
    "parameters",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("key", _Words, nullable=False, unique=True),
    Column("definition", JSON, nullable=False),
)
_claims = Table(
    "claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("values", JSON, nullable=False),
    Column("enqueued", Boolean, nullable=False),
    Column("worker", _Words, nullable=False),
    Column("at", Double, nullable=False),
    Column("until", Integer),
    Column("executions", Integer),
    UniqueConstraint("number", "attempt"),
)
_leases = Table(
    "leases",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", _Words, nullable=False),
    Column("until", Double, nullable=False),
)
_reports = Table(
    "reports",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True),
    Column("execution", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("metrics", JSON, nullable=False),
    Column("at", Double, nullable=False),
    # The key is what reports are looked up by: SQLite may lay the rows out along it.
    sqlite_with_rowid=False,
)
_outcomes = Table(
    "outcomes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("values", JSON(none_as_null=True)),
    Column("message", _Words),
    Column("traceback", _Words),
    Column("final", Boolean),
    Column("score", Double),
    Column("spread", Double),
    Column("metrics", JSON(none_as_null=True)),
    Column("best_epoch", Integer),
    Column("best_execution", Integer),
    Column("executions", Integer),
    Column("epochs", Integer),
    Column("at", Double, nullable=False),
    UniqueConstraint("number", "attempt"),
)

_OBJECTIVE = select(_search.c.objective, _search.c.direction, _search.c.parts, _search.c.pareto)
_SPACE = select(_parameters.c.key, _parameters.c.definition).order_by(_parameters.c.position)
_NEW_CLAIMS = select(_claims).where(_claims.c.id > bindparam("seen"))
_NEW_OUTCOMES = select(_outcomes).where(_outcomes.c.id > bindparam("seen"))
#: What was claimed, with how it ended, if it has.
_ATTEMPTS = _claims.outerjoin(
    _outcomes, and_(_outcomes.c.number == _claims.c.number, _outcomes.c.attempt == _claims.c.attempt)
)
_BEGUN_ANEW = select(_claims.c.number).where(_claims.c.attempt > 0)
#: How the attempts of all trials ended that had more than one.
_RETRIED = (
    select(_claims.c.number, _claims.c.attempt, _outcomes.c.kind)
    .select_from(_ATTEMPTS)
    .where(_claims.c.number.in_(_BEGUN_ANEW))
)
#: One row for an attempt that was claimed: the id of its outcome, if it has ended.
_STANDING = (
    select(_outcomes.c.id)
    .select_from(_ATTEMPTS)
    .where(_claims.c.number == bindparam("number"), _claims.c.attempt == bindparam("attempt"))
)


@dataclass(frozen=True)
class _Seen:
    """What was read so far: the last row of each growing table, and all that follows from them."""

    claim: int = 0
    outcome: int = 0
    space: Sequence[_AnyRow] = ()
    history: History = History()  # noqa: RUF009 - as immutable as the class itself


@final
class SqlStore:
    """A `Store` in a database; processes and threads may share it, and a fork may go on using it.

    Args:
        engine: a database that holds this module's tables; `open_store` makes one for SQLite.
        place: what error messages call it.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._place = place
        # Threads need no lock for it: each exchanges one complete value for another.
        self._seen = _Seen()
        _open_stores.add(self)

    def __repr__(self) -> str:
        return f"SqlStore({self._place!r})"

    def identity(self) -> Identity | None:
        with self._reading() as connection:
            row = connection.execute(select(_search)).one_or_none()
            if row is None:
                return None
            return Identity(
                objective=_objective(row),
                seed=int(row.seed),
                created=row.created,
                asked=None if row.asked is None else Space.from_json(row.asked),
                settings=_decoded(row.settings),
            )

    def begin(self, identity: Identity) -> bool:
        try:
            with self._writing() as connection:
                connection.execute(insert(_search), _row_of_search(identity))
        except IntegrityError:
            return False
        return True

    def identify(self, identity: Identity) -> None:
        with self._writing() as connection:
            connection.execute(delete(_search))
            connection.execute(insert(_search), _row_of_search(identity))

    def history(self) -> History:
        seen = self._seen
        with self._reading() as connection:
            named = connection.execute(_OBJECTIVE).one_or_none()
            space = connection.execute(_SPACE).all()
            claims = connection.execute(_NEW_CLAIMS, {"seen": seen.claim}).all()
            outcomes = connection.execute(_NEW_OUTCOMES, {"seen": seen.outcome}).all()
            objective = DEFAULT_OBJECTIVE if named is None else _objective(named)
            if not claims and not outcomes and space == seen.space and objective == seen.history.objective:
                return seen.history
            known = seen.history.space if space == seen.space else Space.from_json(row.definition for row in space)
            history = History(known, objective, seen.history.trials).after_all(_in_order(claims, outcomes))
        self._seen = _Seen(
            claim=max((row.id for row in claims), default=seen.claim),
            outcome=max((row.id for row in outcomes), default=seen.outcome),
            space=space,
            history=history,
        )
        return history

    def reports(self, number: int | None = None) -> Mapping[int, tuple[Report, ...]]:
        query = select(_reports).order_by(_reports.c.number, _reports.c.attempt)
        if number is not None:
            query = query.where(_reports.c.number == number)
        found: dict[int, dict[tuple[int, int], Report]] = {}
        with self._reading() as connection:
            voided = _voided(connection, number)
            for trial, attempt, execution, epoch, metrics, at in connection.execute(query):
                if (trial, attempt) not in voided:
                    # A later attempt comes later, and takes the place of an earlier one.
                    found.setdefault(trial, {})[execution, epoch] = Report(execution, epoch, _decoded(metrics), at)
        return {trial: tuple(report for _, report in sorted(by_epoch.items())) for trial, by_epoch in found.items()}

    def claim(self, claim: Claimed, until: float) -> bool:
        row = {
            "number": claim.number,
            "attempt": claim.attempt,
            "values": _encoded(claim.values),
            "enqueued": claim.enqueued,
            "worker": claim.worker,
            "at": claim.at,
            "until": claim.until,
            "executions": claim.executions,
        }
        lease = {"number": claim.number, "attempt": claim.attempt, "worker": claim.worker, "until": until}
        try:
            with self._writing() as connection:
                if claim.attempt == 0:
                    last = connection.execute(select(func.max(_claims.c.number))).scalar()
                    following = 0 if last is None else last + 1
                    if claim.number > following:
                        raise ValueError(f"trial {claim.number} cannot be claimed: the next is {following}")
                elif not _has_ended(connection, claim.number, claim.attempt - 1):
                    return False
                connection.execute(insert(_claims), row)
                connection.execute(insert(_leases), lease)
        except IntegrityError:
            return False
        return True

    def renew(self, number: int, attempt: int, until: float) -> bool:
        lease = update(_leases).where(_leases.c.number == number, _leases.c.attempt == attempt)
        with self._writing() as connection:
            return connection.execute(lease.values(until=until)).rowcount == 1

    def leases(self) -> Mapping[int, Lease]:
        with self._reading() as connection:
            rows = connection.execute(select(_leases).order_by(_leases.c.number))
            return {row.number: Lease(row.number, row.attempt, row.worker, row.until) for row in rows}

    def record(self, event: Event) -> bool:
        match event:
            case Claimed():
                raise TypeError("a claim needs a lease: write claim(event, until) instead of record(event)")
            case Grew():
                return self._grow(event)
            case Reported():
                return self._record_report(event)
        row = _row_of(event)
        lease = delete(_leases).where(_leases.c.number == event.number, _leases.c.attempt == event.attempt)
        try:
            with self._writing() as connection:
                if _has_ended(connection, event.number, event.attempt):
                    return False
                connection.execute(insert(_outcomes), row)
                connection.execute(lease)
        except IntegrityError:
            return False
        return True

    def redefine(self, space: Space) -> None:
        with self._writing() as connection:
            _replace_parameters(connection, space)

    def close(self) -> None:
        self._engine.dispose()

    def _record_report(self, event: Reported) -> bool:
        report = event.report
        row = {
            "number": event.number,
            "attempt": event.attempt,
            "execution": report.execution,
            "epoch": report.epoch,
            "metrics": _encoded(report.metrics),
            "at": report.at,
        }
        try:
            with self._writing() as connection:
                if _has_ended(connection, event.number, event.attempt):
                    return False
                connection.execute(insert(_reports), row)
        except IntegrityError:
            return False
        return True

    def _grow(self, event: Grew) -> bool:
        with self._writing() as connection:
            with self._understanding():
                space = Space.from_json(row.definition for row in connection.execute(_SPACE))
            grown = space.extended(event.parameters)
            if grown.parameters[: len(space)] == space.parameters:
                _add_parameters(connection, grown, len(space))
            else:
                # Something else is believed of what was known.
                _replace_parameters(connection, grown)
        return True

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._explaining(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._explaining(), self._understanding(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            # Somebody else was first: what that means is the caller's to say.
            raise
        except DBAPIError as error:
            raise explained(error.orig, self._place) from error

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        """Hold rows to blame for what goes wrong while they are turned into values."""
        try:
            yield
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise damaged(self._place, f"a row makes no sense ({error!r})") from error


# A connection of the parent must neither be used nor closed in a child: it holds the parent's file locks.
_open_stores: weakref.WeakSet[SqlStore] = weakref.WeakSet()
_left_to_parent: list[Any] = []


def _after_fork() -> None:
    for store in _open_stores:
        _left_to_parent.append(store._engine.pool)
        store._engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# -- errors ----------------------------------------------------------------------------------------

_SQLITE_BUSY, _SQLITE_READONLY, _SQLITE_CORRUPT, _SQLITE_FULL, _SQLITE_NOTADB = 5, 8, 11, 13, 26


def damaged(place: str, what: str) -> CorruptStoreError:
    """Make the error for a store that cannot be relied on."""
    return CorruptStoreError(
        f"{place} is damaged: {what}; put back a copy of it, or save what can be read with "
        f"`sqlite3 search.db .recover` and search on in another directory"
    )


def explained(error: BaseException | None, place: str) -> StoreError:
    """Turn an error of the database's driver into ours, which says what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # Of text that is not UTF-8 the driver itself complains, without a code.
    if code in (_SQLITE_CORRUPT, _SQLITE_NOTADB) or "decode to UTF-8" in str(error):
        return damaged(place, str(error))
    if code == _SQLITE_READONLY:
        return unwritable(place)
    if code == _SQLITE_FULL:
        return StoreError(
            f"{place} cannot grow: {error}; nothing of this was written: make room and run again, the search goes on"
        )
    if code == _SQLITE_BUSY:
        return StoreError(f"{place} was held by another process for too long ({error}); end that process and run again")
    return StoreError(f"{place} cannot be used: {error}; what was recorded before is kept")


def unwritable(place: str) -> ReadOnlyStoreError:
    """Make the error for a store that cannot be written."""
    return ReadOnlyStoreError(
        f"{place} cannot be written; allow writing to the file and its directory, or copy both to where it is allowed"
    )


# -- rows ------------------------------------------------------------------------------------------


def _encoded(values: Mapping[str, Any]) -> dict[str, Json]:
    return {name: encode(value) for name, value in values.items()}


def _decoded(values: Mapping[str, Json]) -> dict[str, Any]:
    return {name: decode(value) for name, value in values.items()}


def _objective(row: _AnyRow) -> Objective:
    parts = tuple(Objective(name, direction) for name, direction in row.parts or ())
    return Objective(row.objective, row.direction, parts, bool(row.pareto))


def _has_ended(connection: Connection, number: int, attempt: int) -> bool:
    row = connection.execute(_STANDING, {"number": number, "attempt": attempt}).one_or_none()
    if row is None:
        raise unclaimed(number, attempt)
    return row.id is not None


def _replace_parameters(connection: Connection, space: Space) -> None:
    connection.execute(delete(_parameters))
    _add_parameters(connection, space, 0)


def _add_parameters(connection: Connection, space: Space, known: int) -> None:
    rows = [
        {"position": position, "key": parameter.key, "definition": parameter.to_json()}
        for position, parameter in enumerate(space)
        if position >= known
    ]
    if rows:
        connection.execute(insert(_parameters), rows)


def _row_of_search(identity: Identity) -> dict[str, Any]:
    return {
        "id": 1,
        "objective": identity.objective.name,
        "direction": identity.objective.direction,
        "seed": str(int(identity.seed)),
        "created": identity.created,
        "asked": None if identity.asked is None else identity.asked.to_json(),
        "settings": _encoded(identity.settings),
        "parts": [[part.name, part.direction] for part in identity.objective.parts] or None,
        "pareto": identity.objective.pareto,
    }


def _voided(connection: Connection, number: int | None) -> set[tuple[int, int]]:
    """Give the trials and attempts whose reports count for nothing."""
    query = _RETRIED if number is None else _RETRIED.where(_claims.c.number == number)
    ends: dict[int, dict[int, str | None]] = {}
    for trial, attempt, kind in connection.execute(query):
        ends.setdefault(trial, {})[attempt] = kind
    return {(trial, attempt) for trial, kinds in ends.items() for attempt in voided(kinds)}


def _in_order(claims: Iterable[_AnyRow], outcomes: Iterable[_AnyRow]) -> list[Event]:
    """Give the events of rows in an order that can be folded: each attempt's claim, then its outcome."""
    events: list[Claimed | Outcome] = [
        Claimed(number, attempt, _decoded(values), enqueued, worker, at, until, executions)
        for _, number, attempt, values, enqueued, worker, at, until, executions in claims
    ]
    events.extend(_outcome_of(row) for row in outcomes)
    # Claims stand first in the list, and sorting keeps that between equals.
    return cast("list[Event]", sorted(events, key=lambda event: (event.number, event.attempt)))


def _row_of(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in _outcomes.c if column.name != "id")
    row |= {
        "number": outcome.number,
        "attempt": outcome.attempt,
        "kind": type(outcome).__name__.lower(),
        "at": outcome.at,
    }
    match outcome:
        case Finished(result=result):
            row |= {
                "values": _encoded(outcome.values),
                "score": result.score,
                "spread": result.spread,
                "metrics": _encoded(result.metrics),
                "best_epoch": result.best_epoch,
                "best_execution": result.best_execution,
                "executions": result.executions,
                "epochs": result.epochs,
            }
        case Failed():
            row |= {
                "values": _encoded(outcome.values),
                "message": outcome.message,
                "traceback": outcome.traceback,
                "final": outcome.final,
            }
        case Refused():
            row |= {"values": _encoded(outcome.values), "message": outcome.message}
        case Lost():
            row |= {"message": outcome.message, "epochs": outcome.epochs, "final": outcome.blamed}
    return row


def _outcome_of(row: _AnyRow) -> Outcome:
    _, number, attempt, kind, values, message, traceback, final, score, spread, metrics, *counts, at = row
    match kind:
        case "finished":
            # SQLite keeps nan as NULL; only a single execution has no spread.
            score = math.nan if score is None else score
            spread = math.nan if spread is None and counts[2] > 1 else spread
            result = Result(score, spread, _decoded(metrics), *counts)
            return Finished(number, attempt, _decoded(values), result, at)
        case "failed":
            return Failed(number, attempt, _decoded(values), message, traceback, final, at)
        case "refused":
            return Refused(number, attempt, _decoded(values), message, at)
        case "interrupted":
            return Interrupted(number, attempt, at)
        case "lost":
            return Lost(number, attempt, at, message or "", counts[3] or 0, final is not False)
    raise ValueError(f"no outcome is called {kind!r}")
