"""Opening a store in a directory: a file of SQLite, which is left untouched unless it is certainly ours.

A search lies in ``search.db``, and while it is open in ``search.db-wal`` and ``search.db-shm`` beside it.
The file says whose it is and in which version (``PRAGMA application_id``, ``PRAGMA user_version``). It is made
in one transaction of SQLite's older journal mode, so that a process killed meanwhile leaves either an empty
file or a finished one.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from choritsu.errors import CorruptStoreError, ForeignStoreError, NewerStoreError, StoreError
from choritsu.stores.sql import SCHEMA_VERSION, SqlStore, damaged, explained, metadata, unwritable, write_json

#: "chor" in ASCII.
APPLICATION_ID = int.from_bytes(b"chor", "big")

#: How long a writer waits for its turn, in seconds; a turn takes milliseconds.
PATIENCE = 60.0

#: What the second version brought, which knew budgets, the third, which knew several objectives, and the fourth, which
#: knew repeats of single trials.
_ADDED = (
    ("claims ADD COLUMN until INTEGER",),
    ("search ADD COLUMN parts JSON", "search ADD COLUMN pareto BOOLEAN"),
    ("claims ADD COLUMN executions INTEGER",),
)

_MAGIC = b"SQLite format 3\0"
#: SQLite's file header, and the few bytes after it that tell whether there are any tables.
_HEADER = 105

_Found: TypeAlias = Literal["nothing", "empty", "ours"]


def open_store(directory: Path, *, create: bool = True) -> SqlStore:
    """Open the search that lies in a directory.

    The disk must be one that several processes can lock files on; many network file systems cannot.

    Args:
        directory: where it lies; made if need be.
        create: whether to begin a new search where there is none.

    Returns:
        A store that other processes may open too.

    Raises:
        StoreError: when there is no search and `create` is False, or the directory cannot be made.
        ForeignStoreError: when another program wrote the file.
        NewerStoreError: when a later choritsu wrote it.
        CorruptStoreError: when it is damaged.
        ReadOnlyStoreError: when it or its directory cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as directory:
        ...     store = open_store(Path(directory))
        ...     print(len(store.history()))
        ...     store.close()
        0
    """
    path = Path(directory).absolute() / "search.db"
    found = _look(path)
    if found != "ours":
        if not create:
            raise StoreError(f"no search lies in {path.parent}; check the path, or start a search there first")
        _make_directory(path.parent)
    if not all(os.access(place, os.W_OK) for place in (path.parent, path) if place.exists()):
        raise unwritable(str(path))
    if found == "ours":
        _check(path)
    engine = _engine(path)
    try:
        _prepare(engine, path)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise explained(getattr(error, "orig", error), str(path)) from error
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, str(path))


def read_store(directory: Path) -> SqlStore:
    """Read the search that lies in a directory into memory; nothing is changed there, whoever else uses it.

    Args:
        directory: where it lies.

    Returns:
        A store with all that was recorded by now.

    Raises:
        StoreError: when there is no search, or it cannot be read.
        ForeignStoreError: when another program wrote the file.
        NewerStoreError: when a later choritsu wrote it.
        CorruptStoreError: when it is damaged.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as directory:
        ...     open_store(Path(directory)).close()
        ...     print(read_store(Path(directory)).history().trials)
        ()
    """
    path = Path(directory).absolute() / "search.db"
    if _look(path) != "ours":
        raise StoreError(f"no search lies in {path.parent}; check the path")
    _check(path)
    try:
        copy = _copied(path)
    except sqlite3.Error as error:
        raise explained(error, str(path)) from error
    engine = _configured(create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool))
    _make_tables(engine, path)
    return SqlStore(engine, str(path))


def remove_store(directory: Path) -> None:
    """Delete the search that lies in a directory, if there is one; other files stay.

    Raises:
        ForeignStoreError: when another program wrote the file.
    """
    path = Path(directory).absolute() / "search.db"
    # What is damaged or newer is a search all the same, and the one who asked wants it gone.
    with suppress(CorruptStoreError, NewerStoreError):
        _look(path)
    # The file itself goes last: without it, the others would be taken for what is left after an accident.
    for name in ("search.db-wal", "search.db-shm", "search.db"):
        try:
            path.with_name(name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path.with_name(name)} cannot be deleted: {error.strerror}; delete it yourself"
            ) from error


def _look(path: Path) -> _Found:
    """Tell what lies at a path by reading its first bytes, and refuse what is not for us."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        header = None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; search in another directory") from error
    if not header:
        if _is_filled(_beside(path, "-wal")):
            raise damaged(str(path), "it is missing or empty, while the changes beside it in search.db-wal are not")
        return "nothing" if header is None else "empty"
    if not header.strip(b"\0") and _is_filled(_beside(path, "-journal")):
        # The power failed while the file was made: SQLite takes that back when it opens it.
        return "empty"
    if not header.startswith(_MAGIC):
        if _MAGIC.startswith(header) or not header.strip(b"\0"):
            raise damaged(str(path), "its beginning is missing")
        raise ForeignStoreError(
            f"{path} is no search of choritsu, and no SQLite file at all: it begins with {header[:16]!r}; "
            "search in another directory"
        )
    if len(header) < _HEADER:
        raise damaged(str(path), f"only {len(header)} bytes of it are left")
    version, application = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    if application == APPLICATION_ID:
        _check_version(path, version)
        return "ours"
    # 13 marks a leaf of a table, here of the table of tables; how many rows it holds follows.
    has_tables = header[100] != 13 or header[103:105] != b"\0\0"
    if application == version == 0 and not has_tables and not _is_filled(_beside(path, "-wal")):
        return "empty"
    raise _foreign(path, application)


def _reader(path: Path, *, at_rest: bool) -> sqlite3.Connection:
    """Connect to a file without changing a byte of it or leaving one beside it."""
    # At rest, nothing beside the file need be read or made.
    return sqlite3.connect(path.as_uri() + ("?immutable=1" if at_rest else "?mode=ro"), uri=True, timeout=PATIENCE)


def _copied(path: Path) -> sqlite3.Connection:
    while True:
        before = _fingerprint(path)
        at_rest = not _is_filled(_beside(path, "-wal"))
        copy = sqlite3.connect(":memory:")
        with closing(_reader(path, at_rest=at_rest)) as file:
            file.backup(copy)
        # Another process that woke up and wrote may have given it to us in part.
        if not at_rest or before == _fingerprint(path):
            return copy
        copy.close()


def _check(path: Path) -> None:
    """Have SQLite check the file, without changing a byte of it or leaving one beside it."""
    if _is_filled(_beside(path, "-journal")):
        return
    while True:
        before = _fingerprint(path)
        at_rest = not _is_filled(_beside(path, "-wal"))
        try:
            with closing(_reader(path, at_rest=at_rest)) as connection:
                (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            error: StoreError | None = None if answer == "ok" else damaged(str(path), answer)
        except sqlite3.DatabaseError as reason:
            error = explained(reason, str(path))
        except UnicodeDecodeError as reason:
            # What SQLite has to say may quote the damage.
            error = damaged(str(path), str(reason))
        if error is None:
            return
        # Another process that woke up and wrote may have made a sound file look broken.
        if not at_rest or before == _fingerprint(path):
            raise error


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        json_serializer=write_json,
        connect_args={"timeout": PATIENCE},
        # Threads come and go, and each needs a connection but for moments.
        max_overflow=-1,
    )
    return _configured(engine)


def _configured(engine: Engine) -> Engine:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        # BEGIN is ours to write; Python would put it off.
        connection.isolation_level = None
        # What was recorded outlives a power failure, at the cost of one flush of the disk for each record.
        connection.execute("PRAGMA synchronous = FULL").close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A writer that queues from its beginning on is never told to start over.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _prepare(engine: Engine, path: Path) -> None:
    _make_tables(engine, path)
    with closing(engine.raw_connection()) as connection:
        _journal_ahead(cast("sqlite3.Connection", connection.driver_connection))


def _make_tables(engine: Engine, path: Path) -> None:
    """Make the tables unless they are there, in their present form."""
    with engine.execution_options(writes=True).begin() as connection:
        application, version, tables = (
            connection.exec_driver_sql(question).scalar_one()
            for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if application == version == tables == 0:
            metadata.create_all(connection, checkfirst=False)
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif application == APPLICATION_ID:
            _check_version(path, version)
            if 0 < version < SCHEMA_VERSION:
                for column in itertools.chain(*_ADDED[version - 1 :]):
                    connection.exec_driver_sql(f"ALTER TABLE {column}")
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        else:
            raise _foreign(path, application)


def _journal_ahead(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log: readers and a writer then work side by side."""
    deadline = time.monotonic() + PATIENCE
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # The change needs the file to itself, and SQLite does not wait for that.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _check_version(path: Path, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise NewerStoreError(
            f"{path} has version {version} and this choritsu reads up to {SCHEMA_VERSION}: a later one wrote it; "
            "upgrade with `pip install --upgrade choritsu`"
        )


def _foreign(path: Path, application: int) -> ForeignStoreError:
    return ForeignStoreError(
        f"{path} is a SQLite file of another program (application_id {application}, "
        f"wanted {APPLICATION_ID}); search in another directory"
    )


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(str(directory)) from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _fingerprint(path: Path) -> list[tuple[int, int]]:
    places = [path, _beside(path, "-wal")]
    return [(place.stat().st_size, place.stat().st_mtime_ns) for place in places if place.exists()]
