"""Stores: the contract over each, and for files all that processes, disks and people do to them."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from choritsu import stores
from choritsu.errors import CorruptStoreError, ForeignStoreError, NewerStoreError, ReadOnlyStoreError, StoreError
from choritsu.space import Boolean, Int, Space
from choritsu.stores import Identity, MemoryStore, Store, opening, remove_store
from choritsu.stores import open_store as open_sql_store
from choritsu.testing.faults import Fault, FaultyStore, InjectedError
from choritsu.testing.stores import RESULT, VALUES, StoreContract
from choritsu.trials import Claimed, Finished, Grew, History, Interrupted, Lost, Report, Reported, Status

#: For how many seconds; the long version is `CHORITSU_HAMMER=60 pytest -s tests/test_stores.py -k hammering`.
HAMMER = float(os.environ.get("CHORITSU_HAMMER", "5"))

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def opener(self):
        kept = {}
        return lambda name: kept.setdefault(name, MemoryStore())


class TestSqlStore(StoreContract):
    @pytest.fixture
    def opener(self, tmp_path):
        return lambda name: open_sql_store(tmp_path / name)


class TestFaultyStoreWithoutFaults(StoreContract):
    @pytest.fixture
    def opener(self):
        kept = {}
        return lambda name: kept.setdefault(name, FaultyStore(MemoryStore()))


def fill(directory: Path, trials: int = 40) -> History:
    """Record a search of several pages in each table, all of it in search.db itself."""
    with closing(open_sql_store(directory)) as store:
        store.identify(Identity(seed=7))
        store.record(Grew(0, (Boolean("deep"), Int("units", 8, 512))))
        for number in range(trials):
            store.claim(Claimed(number, 0, {"deep": True, "units": number}, worker="w" * 50), until=60.0)
            for epoch in range(5):
                store.record(Reported(number, 0, Report(0, epoch, {"loss": 1.0 / (epoch + 1), "accuracy": 0.5})))
            store.record(Finished(number, 0, {"deep": True, "units": number}, RESULT))
        return store.history()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def alone(function, *arguments: object) -> str:
    """Run a function of this file in a fresh process without threads, which may fork as it likes; give what it says."""
    command = [sys.executable, __file__, function.__name__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + HAMMER, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def forked(work) -> int:
    """Run `work` in a child and give its id; the child ends there."""
    if child := os.fork():
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def end_of(child: int) -> int:
    """Wait for a child and give its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# -- processes that die ----------------------------------------------------------------------------


def write_on(directory: Path, acknowledge) -> None:
    """Record trial after trial, and acknowledge each thing once the store has said that it is kept."""
    store = open_sql_store(directory)
    acknowledge(["open"])
    while True:
        trials = store.history()
        for number, lease in store.leases().items():
            store.record(Lost(number, lease.attempt))
        again = trials.having(Status.INTERRUPTED, Status.RUNNING)
        number, attempt = (again[0].number, again[0].attempt + 1) if again else (len(trials), 0)
        assert store.claim(Claimed(number, attempt, VALUES, worker="writer"), until=60.0)
        acknowledge(["claim", number, attempt])
        for epoch in range(3):
            assert store.record(Reported(number, attempt, Report(0, epoch, {"loss": number + epoch})))
            acknowledge(["report", number, attempt, epoch])
        store.record(Grew(number, (Int(f"p{number}", 1, 9),)))
        acknowledge(["grew", number])
        outcome = Finished(number, attempt, VALUES, RESULT) if number % 3 else Interrupted(number, attempt)
        if attempt == 2:
            outcome = Finished(number, attempt, VALUES, RESULT)
        assert store.record(outcome)
        acknowledge(["end", number, attempt])


def verify(directory: Path, acknowledged: list[list]) -> None:
    with closing(open_sql_store(directory)) as store:
        history, reports, leases = store.history(), store.reports(), store.leases()
        assert [trial.number for trial in history] == list(range(len(history)))
        assert history.space.names == {f"p{number}" for number in range(len(history.space))}
        for what, *where in acknowledged:
            match what, where:
                case "claim", [number, attempt]:
                    assert history[number].attempt >= attempt
                    assert history[number].suggested == VALUES
                case "report", [number, _, epoch]:
                    assert reports[number][epoch] == Report(0, epoch, {"loss": number + epoch})
                case "grew", [number]:
                    assert f"p{number}" in history.space
                case "end", [number, attempt]:
                    assert history[number].attempt > attempt or number not in leases
        for trial in history:
            assert (trial.number in leases) == (trial.status is Status.RUNNING)


def crash(directory: Path, kill, prepare=lambda: None) -> int:
    """Let a child write until it is killed, and check what it left; gives how it ended."""
    reading, writing = os.pipe()

    def work() -> None:
        prepare()
        write_on(directory, lambda what: os.write(writing, json.dumps(what).encode() + b"\n"))

    child = forked(work)
    os.close(writing)
    kill(child)
    code = end_of(child)
    with open(reading, "rb") as acknowledged:
        verify(directory, [json.loads(line) for line in acknowledged])
    return code


def crash_at_random(directory: str) -> None:
    chance = random.Random(0)

    def kill(child: int) -> None:
        time.sleep(chance.uniform(0.005, 0.2))
        os.kill(child, signal.SIGKILL)

    for round_ in range(30):
        # Some begin a search of their own, so that its making is met too.
        place = Path(directory, "one" if round_ % 3 else f"new{round_}")
        assert crash(place, kill) == -signal.SIGKILL
    with closing(open_sql_store(Path(directory, "one"))) as store:
        assert len(store.history()) > 0


def crash_at_every_statement(directory: str) -> None:
    """Kill after each SQL statement and before each commit, through the first trials of a search.

    A commit has been done where the next statement has.
    """
    for limit in range(120):
        count = itertools.count()

        def prepare(limit: int = limit, count=count) -> None:
            @event.listens_for(Engine, "after_cursor_execute")
            @event.listens_for(Engine, "commit")
            def _step(*_) -> None:
                if next(count) == limit:
                    os.kill(os.getpid(), signal.SIGKILL)

        assert crash(Path(directory, str(limit)), lambda _: None, prepare) == -signal.SIGKILL


@needs_fork
@pytest.mark.slow
def test_killed_writer_loses_nothing(tmp_path):
    alone(crash_at_random, tmp_path)


@needs_fork
@pytest.mark.slow
def test_writer_killed_at_any_statement_loses_nothing(tmp_path):
    alone(crash_at_every_statement, tmp_path)


# -- processes side by side ------------------------------------------------------------------------


def hammer(store: Store, worker: int) -> Iterator[tuple[int, int] | None]:
    """Claim and tell trials as fast as can be; yield the number and attempt of each, None where another was first."""
    while True:
        trials = store.history()
        again = trials.having(Status.INTERRUPTED)
        number, attempt = (again[0].number, again[0].attempt + 1) if again else (len(trials), 0)
        if not store.claim(Claimed(number, attempt, VALUES, worker=str(worker)), until=60.0):
            yield None
            continue
        assert store.record(Reported(number, attempt, Report(0, 0, {"loss": float(worker)})))
        assert store.renew(number, attempt, 90.0)
        assert store.leases()[number].worker == str(worker)
        # Every third trial is left twice, and taken up by whoever comes first.
        left = number % 3 == 0 and attempt < 2
        assert store.record(Interrupted(number, attempt) if left else Finished(number, attempt, VALUES, RESULT))
        yield number, attempt


def hammer_side_by_side(directory: str) -> None:
    place = Path(directory)
    end = time.monotonic() + HAMMER

    def work(worker: int) -> None:
        # Each opens the search itself: they also race to make it.
        with closing(open_sql_store(place / "search")) as store:
            won, lost, slowest, before = [], 0, 0.0, time.monotonic()
            for claimed in hammer(store, worker):
                if claimed is None:
                    lost += 1
                else:
                    won.append(claimed)
                now = time.monotonic()
                slowest, before = max(slowest, now - before), now
                if now >= end:
                    break
        (place / f"told{worker}").write_text(json.dumps([won, lost, slowest]))

    # An error, "database is locked" among them, would end a child with 1.
    assert [end_of(child) for child in [forked(lambda worker=worker: work(worker)) for worker in range(8)]] == [0] * 8
    told = [json.loads((place / f"told{worker}").read_text()) for worker in range(8)]
    owners = {(number, attempt): worker for worker in range(8) for number, attempt in told[worker][0]}
    assert len(owners) == sum(len(won) for won, *_ in told), "somebody claimed what another had"
    with closing(open_sql_store(place / "search")) as store:
        history, reports = store.history(), store.reports()
        assert store.leases() == {}
    assert [trial.number for trial in history] == list(range(len(history)))
    assert len(history) > 50
    assert set(owners) == {(trial.number, attempt) for trial in history for attempt in range(trial.attempt + 1)}
    for trial in history:
        left = trial.number % 3 == 0 and trial.attempt < 2
        assert trial.status is (Status.INTERRUPTED if left else Status.COMPLETED)
        assert [report.metrics["loss"] for report in reports[trial.number]] == [owners[trial.number, trial.attempt]]
    shares = sorted(len(won) for won, *_ in told)
    print(
        f"8 processes in {HAMMER:g} s: {len(history)} trials in {len(owners)} attempts, {shares[0]} to {shares[-1]} "
        f"each; {sum(lost for _, lost, _ in told)} claims came second; the slowest round of an attempt took "
        f"{max(slowest for *_, slowest in told):.2f} s"
    )


@needs_fork
@pytest.mark.slow
def test_processes_hammering_one_store_claim_each_number_once(tmp_path):
    print(alone(hammer_side_by_side, tmp_path))


def create_side_by_side(directory: str) -> None:
    for round_ in range(10):
        place = Path(directory, str(round_))
        start = time.monotonic() + 0.02

        def work(worker: int, place: Path = place, start: float = start) -> None:
            while time.monotonic() < start:
                pass
            with closing(open_sql_store(place)) as store:
                store.record(Grew(worker, (Int(f"p{worker}", 1, 9),)))

        assert [end_of(child) for child in [forked(lambda worker=worker: work(worker)) for worker in range(4)]] == [
            0
        ] * 4
        with closing(open_sql_store(place)) as store:
            assert store.history().space.names == {"p0", "p1", "p2", "p3"}


@needs_fork
def test_processes_may_make_one_search_at_once(tmp_path):
    alone(create_side_by_side, tmp_path)


def go_on_after_fork(directory: str) -> None:
    store = open_sql_store(Path(directory))
    store.claim(Claimed(0, 0, {}), until=60.0)

    def work() -> None:
        assert store._engine.pool.checkedin() == 0, "the child holds connections of its parent"
        for epoch in range(20):
            assert store.record(Reported(0, 0, Report(0, epoch, {"loss": 1.0})))

    child = forked(work)
    for moment in range(20):
        assert store.renew(0, 0, float(moment))
    assert end_of(child) == 0
    assert len(store.reports(0)[0]) == 20
    assert store.record(Finished(0, 0, {}, RESULT))
    store.close()


@needs_fork
def test_store_can_be_used_on_both_sides_of_a_fork(tmp_path):
    alone(go_on_after_fork, tmp_path)


# -- files that are not right ----------------------------------------------------------------------


def make_sqlite(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def refused(directory: Path, error: type[Exception], match: str) -> None:
    """Check that opening fails, names the file, and changes nothing in the directory."""
    before = contents(directory)
    for create in (True, False):
        with pytest.raises(error, match=match) as caught:
            open_sql_store(directory, create=create)
        assert str(directory) in str(caught.value)
    assert contents(directory) == before


FOREIGN = {
    "text": b"notes about my search\n",
    "short": b"x",
    "zip": b"PK\x03\x04" + bytes(200),
    "old sqlite": b"** This file contains an SQLite 2.1 database **" + bytes(1000),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_file_of_another_kind_is_refused(tmp_path, kind):
    (tmp_path / "search.db").write_bytes(FOREIGN[kind])
    refused(tmp_path, ForeignStoreError, "another directory")


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE search (x)",),
        ("CREATE TABLE search (x)", "PRAGMA journal_mode = WAL"),
        ("PRAGMA application_id = 12345",),
        ("PRAGMA application_id = 12345", "CREATE TABLE search (x)"),
        ("PRAGMA user_version = 1",),
        ("PRAGMA user_version = 1", "PRAGMA journal_mode = WAL", "CREATE TABLE search (x)"),
    ],
)
def test_database_of_another_program_is_refused(tmp_path, statements):
    make_sqlite(tmp_path / "search.db", *statements)
    refused(tmp_path, ForeignStoreError, "another program")
    with pytest.raises(ForeignStoreError):
        remove_store(tmp_path)
    assert (tmp_path / "search.db").exists()


def test_database_that_another_program_has_just_begun_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "search.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE search (x)")
        refused(tmp_path, ForeignStoreError, "another program")


def test_newer_store_is_refused(tmp_path):
    fill(tmp_path, 1)
    make_sqlite(tmp_path / "search.db", "PRAGMA user_version = 5")
    refused(tmp_path, NewerStoreError, "upgrade")


def test_newer_store_whose_version_is_not_in_the_file_yet_is_refused(tmp_path):
    fill(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / "search.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 5")
        with pytest.raises(NewerStoreError, match="upgrade"):
            open_sql_store(tmp_path)


@pytest.mark.parametrize("begin", ["zero bytes", "no tables", "no tables, wal"])
def test_file_whose_making_was_broken_off_is_made_anew(tmp_path, begin):
    path = tmp_path / "search.db"
    if begin == "zero bytes":
        path.touch()
    else:
        make_sqlite(path, "PRAGMA journal_mode = WAL" if "wal" in begin else "VACUUM")
        assert path.stat().st_size > 0
    before = contents(tmp_path)
    with pytest.raises(StoreError, match="no search lies in"):
        open_sql_store(tmp_path, create=False)
    assert contents(tmp_path) == before
    assert len(fill(tmp_path, 3)) == 3


def test_making_taken_back_after_a_power_failure(tmp_path):
    # The state of the disk: the journal complete, the file grown but not yet written.
    with closing(sqlite3.connect(tmp_path / "made.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE t (x)")
        connection.execute(
            "INSERT INTO t WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 9999) "
            "SELECT randomblob(99) FROM n"
        )
        journal = (tmp_path / "made.db-journal").read_bytes()
        assert journal
        (tmp_path / "search.db-journal").write_bytes(journal)
        (tmp_path / "search.db").write_bytes(bytes(8192))
        connection.execute("ROLLBACK")
    assert len(fill(tmp_path, 3)) == 3


def test_missing_search_is_not_made_unless_asked(tmp_path):
    for directory in (tmp_path, tmp_path / "not" / "there"):
        with pytest.raises(StoreError, match="no search lies in"):
            open_sql_store(directory, create=False)
    assert contents(tmp_path) == {}


def test_changes_without_their_file_are_not_thrown_away(tmp_path):
    (tmp_path / "search.db-wal").write_bytes(b"the last hours")
    refused(tmp_path, CorruptStoreError, "missing or empty")
    (tmp_path / "search.db").touch()
    refused(tmp_path, CorruptStoreError, "missing or empty")


@pytest.mark.parametrize("left", [1, 15, 16, 50, 99, 100, 104, 105, 512, 4095, 4096, 5000, 8192, 0.5, 0.9])
def test_torn_file_is_refused(tmp_path, left):
    fill(tmp_path)
    path = tmp_path / "search.db"
    whole = path.read_bytes()
    path.write_bytes(whole[: left if isinstance(left, int) else int(len(whole) * left)])
    refused(tmp_path, CorruptStoreError, "damaged")


def test_file_of_zeros_is_refused(tmp_path):
    (tmp_path / "search.db").write_bytes(bytes(40960))
    refused(tmp_path, CorruptStoreError, "damaged")


@pytest.mark.parametrize("scribble", [bytes(4096), b"\xff" * 4096, random.Random(0).randbytes(4096)])
def test_damaged_page_is_refused(tmp_path, scribble):
    fill(tmp_path)
    path = tmp_path / "search.db"
    whole = path.read_bytes()
    for at in range(4096, len(whole), 4096):
        path.write_bytes(whole[:at] + scribble + whole[at + 4096 :])
        before = contents(tmp_path)
        with pytest.raises(CorruptStoreError, match="damaged"):
            open_sql_store(tmp_path)
        assert contents(tmp_path) == before
    path.write_bytes(whole)
    open_sql_store(tmp_path).close()


def test_any_damage_is_named_or_harmless(tmp_path):
    """Whatever bytes are scribbled over, nothing but a StoreError comes out."""
    fill(tmp_path)
    path = tmp_path / "search.db"
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(150):
        at, length = chance.randrange(len(whole)), chance.choice([1, 4, 100])
        path.write_bytes((whole[:at] + chance.randbytes(length) + whole[at + length :])[: len(whole)])
        with suppress(StoreError), closing(open_sql_store(tmp_path)) as store:
            store.history(), store.reports(), store.identity(), store.leases()


def test_damage_in_the_changes_beside_the_file_costs_only_those(tmp_path):
    store = open_sql_store(tmp_path)
    for number in range(10):
        store.claim(Claimed(number, 0, {}), until=60.0)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("search.db", "search.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    store.close()
    log = (copy / "search.db-wal").read_bytes()
    (copy / "search.db-wal").write_bytes(log[: len(log) * 2 // 3])
    with closing(open_sql_store(copy)) as store:
        assert 0 < len(store.history()) < 10
        assert store.history() == History().after_all(Claimed(n, 0, {}) for n in range(len(store.history())))


def test_damaged_file_with_changes_beside_it_is_left_as_it_is(tmp_path):
    fill(tmp_path / "search")
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(open_sql_store(tmp_path / "search")) as store:
        store.identify(Identity(seed=8))
        for name in ("search.db", "search.db-wal"):
            (copy / name).write_bytes((tmp_path / "search" / name).read_bytes())
    whole = (copy / "search.db").read_bytes()
    (copy / "search.db").write_bytes(whole[:-4096] + b"\xff" * 4096)
    before = contents(copy)
    with pytest.raises(CorruptStoreError, match="damaged"):
        open_sql_store(copy)
    assert {name: contents(copy)[name] for name in before} == before


def test_damage_done_while_open_is_named(tmp_path):
    fill(tmp_path)
    path = tmp_path / "search.db"
    with closing(open_sql_store(tmp_path)) as store:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        for call in (store.history, store.reports, store.identity, lambda: store.record(Lost(0, 0))):
            with pytest.raises(CorruptStoreError, match="put back a copy") as caught:
                call()
            assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE claims SET \"values\" = '{'",
        "UPDATE claims SET \"values\" = '[1]'",
        'UPDATE claims SET "values" = \'{"x": {"float": "?"}}\'',
        "UPDATE claims SET number = 99 WHERE number = 39",
        "UPDATE claims SET worker = CAST(x'ff' AS TEXT)",
        "DELETE FROM claims WHERE number = 39",
        "UPDATE outcomes SET kind = 'vanished'",
        "UPDATE outcomes SET metrics = NULL",
        "UPDATE parameters SET definition = '{}'",
        "UPDATE search SET direction = 'sideways'",
    ],
)
def test_rows_that_make_no_sense_are_named(tmp_path, statement):
    fill(tmp_path)
    make_sqlite(tmp_path / "search.db", statement)
    with closing(open_sql_store(tmp_path)) as store, pytest.raises(CorruptStoreError, match=r"search\.db is damaged"):
        store.history()


# -- disks that refuse -----------------------------------------------------------------------------


def immutable(path: Path, flag: str) -> bool:
    try:
        return subprocess.run(["chattr", f"{flag}i", path], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_cannot_be_written_is_refused(tmp_path, what):
    fill(tmp_path, 1)
    place = tmp_path / "search.db" if what == "file" else tmp_path
    usual = place.stat().st_mode
    place.chmod(usual & ~0o222)
    if os.access(place, os.W_OK) and not immutable(place, "+"):
        pytest.skip("nothing is forbidden to this user, and chattr does not work here")
    try:
        refused(tmp_path, ReadOnlyStoreError, "cannot be written")
    finally:
        immutable(place, "-")
        place.chmod(usual)


def test_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        open_sql_store(tmp_path / "file")
    with pytest.raises(StoreError, match="file"):
        open_sql_store(tmp_path / "file" / "deeper")
    (tmp_path / "search.db").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        open_sql_store(tmp_path)


@pytest.mark.parametrize(
    ("pragma", "error", "match"),
    [("query_only = ON", ReadOnlyStoreError, "cannot be written"), ("max_page_count = 1", StoreError, "make room")],
)
def test_disk_that_refuses_while_open_is_named(tmp_path, pragma, error, match):
    with closing(open_sql_store(tmp_path)) as store:
        store.claim(Claimed(0, 0, {}), until=60.0)
        event.listen(store._engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA {pragma}").close())
        with pytest.raises(error, match=match) as caught:
            store.claim(Claimed(1, 0, {"text": "x" * 100_000}), until=60.0)
        assert str(tmp_path / "search.db") in str(caught.value)
        assert len(store.history()) == 1
    with closing(open_sql_store(tmp_path)) as store:
        assert store.claim(Claimed(1, 0, {"text": "x" * 100_000}), until=60.0)


def test_process_that_never_lets_go_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    with (
        closing(open_sql_store(tmp_path)) as store,
        closing(sqlite3.connect(tmp_path / "search.db", isolation_level=None)) as hog,
    ):
        hog.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="held by another process"):
            store.claim(Claimed(0, 0, {}), until=60.0)
        assert len(store.history()) == 0
        hog.execute("ROLLBACK")
        assert store.claim(Claimed(0, 0, {}), until=60.0)


def test_log_is_turned_on_once_a_reader_lets_go(tmp_path):
    fill(tmp_path, 2)
    path = tmp_path / "search.db"
    make_sqlite(path, "PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM claims").fetchone()
        release = threading.Timer(0.2, reader.execute, ["COMMIT"])
        release.start()
        with closing(open_sql_store(tmp_path)) as store:
            assert len(store.history()) == 2
        release.join()


# -- the file itself -------------------------------------------------------------------------------


def test_removing_takes_the_search_and_nothing_else(tmp_path):
    remove_store(tmp_path)
    remove_store(tmp_path / "not" / "there")
    store = open_sql_store(tmp_path)
    store.claim(Claimed(0, 0, {}), until=60.0)
    (tmp_path / "checkpoint").write_text("kept")
    assert (tmp_path / "search.db-wal").exists()
    store.close()
    remove_store(tmp_path)
    assert list(contents(tmp_path)) == ["checkpoint"]
    fill(tmp_path, 1)
    (tmp_path / "search.db").write_bytes((tmp_path / "search.db").read_bytes()[:5000])
    remove_store(tmp_path)
    assert list(contents(tmp_path)) == ["checkpoint"]


def test_closed_store_is_one_file(tmp_path):
    fill(tmp_path, 2)
    assert list(contents(tmp_path)) == ["search.db"]


def test_file_says_whose_it_is(tmp_path):
    fill(tmp_path, 1)
    assert (tmp_path / "search.db").read_bytes()[68:72] == b"chor"
    with closing(sqlite3.connect(tmp_path / "search.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_every_connection_flushes_what_it_commits(tmp_path):
    with closing(open_sql_store(tmp_path)) as store, store._writer.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_tables_can_be_read_with_any_tool(tmp_path):
    with closing(open_sql_store(tmp_path)) as store:
        store.claim(Claimed(0, 0, {"units": 64, "betas": (0.9, None)}), until=60.0)
        store.record(Reported(0, 0, Report(0, 0, {"loss": float("nan"), "accuracy": 0.5})))
        store.record(Finished(0, 0, {"units": 64}, RESULT))
    with closing(sqlite3.connect(tmp_path / "search.db")) as connection:
        ask = "SELECT json_extract(\"values\", '$.units'), score FROM outcomes"
        assert connection.execute(ask).fetchone() == (64, RESULT.score)
        ask = "SELECT json_extract(metrics, '$.accuracy'), json_valid(metrics), typeof(metrics) FROM reports"
        assert connection.execute(ask).fetchone() == (0.5, 1, "text")


@pytest.mark.parametrize("name", ["plain", "mit Leerzeichen", "100%?#&;=", "日本 \U0001f600", "-wal", "file:x?mode=ro"])
def test_directory_may_have_any_name(tmp_path, name):
    assert len(fill(tmp_path / name, 1)) == 1
    with closing(open_sql_store(tmp_path / name)) as store:
        assert len(store.history()) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_relative_path_outlives_a_change_of_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with closing(open_sql_store(Path("here"))) as store:
        monkeypatch.chdir("/")
        assert store.claim(Claimed(0, 0, {}), until=60.0)
        store.close()
        assert len(store.history()) == 1


def test_history_reads_only_what_is_new(tmp_path):
    fill(tmp_path)
    with closing(open_sql_store(tmp_path)) as store, closing(open_sql_store(tmp_path)) as other:
        before = store.history()
        assert store.history() is before
        other.claim(Claimed(40, 0, {}), until=60.0)
        read = []
        event.listen(store._engine, "after_cursor_execute", lambda *call: read.append(call[3]))
        after = store.history()
        assert after[40].status is Status.RUNNING
        assert all(new is old for new, old in zip(after, before, strict=False))
        assert (40,) in read


def test_naming_a_store_loads_no_database():
    code = "import sys, choritsu.stores; assert 'sqlalchemy' not in sys.modules; choritsu.stores.SqlStore"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stores.nothing  # noqa: B018


# -- faults ----------------------------------------------------------------------------------------


def test_fault_comes_at_its_call_and_moment():
    kept = MemoryStore()
    store = FaultyStore(kept, Fault("claim", 2), Fault("record", 1, "after"), Fault("close", 1, error=OSError("gone")))
    assert store.claim(Claimed(0, 0, {}), until=60.0)
    with pytest.raises(InjectedError):
        store.claim(Claimed(1, 0, {}), until=60.0)
    assert len(kept.history()) == 1
    assert store.claim(Claimed(1, 0, {}), until=60.0)
    with pytest.raises(InjectedError):
        store.record(Lost(0, 0))
    assert kept.history()[0].status is Status.INTERRUPTED
    with pytest.raises(OSError, match="gone"):
        store.close()


@pytest.mark.parametrize("wrong", [{"method": "delete"}, {"method": "claim", "call": 0}])
def test_fault_that_cannot_come_is_refused(wrong):
    with pytest.raises(ValueError, match=r"got 0|no method 'delete'"):
        Fault(**wrong)


def die_after_recording(directory: str) -> None:
    def work() -> None:
        store = FaultyStore(open_sql_store(Path(directory)), Fault("claim", 2, "after", error="kill"))
        store.redefine(Space((Boolean("deep"),)))
        for number in range(3):
            store.claim(Claimed(number, 0, {}), until=60.0)

    assert end_of(forked(work)) == -signal.SIGKILL
    with closing(open_sql_store(Path(directory))) as store:
        assert len(store.history()) == 2


@needs_fork
def test_fault_may_kill(tmp_path):
    alone(die_after_recording, tmp_path)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
