"""What keeping a search costs: one trial recorded, and a long search opened again.

python benchmarks/store.py --trials 10000
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import event

from choritsu.space import Float, Int, Space
from choritsu.stores import SqlStore, open_store
from choritsu.trials import Claimed, Finished, Report, Reported, Result

EPOCHS = 10
SPACE = Space((*(Float(f"rate{index}", 1e-4, 1e-1, sampling="log") for index in range(4)), Int("units", 8, 512)))
METRICS = {"loss": 0.4712345678, "accuracy": 0.8123456789, "val_loss": 0.5312345678, "val_accuracy": 0.7912345678}


def record_trial(store: SqlStore, number: int) -> None:
    values = {**{f"rate{index}": 1.2345678e-3 * (number + index + 1) for index in range(4)}, "units": 8 + number % 500}
    store.claim(Claimed(number, 0, values, worker="benchmark:1", at=time.time()), until=time.time() + 60)
    for epoch in range(EPOCHS):
        store.record(Reported(number, 0, Report(0, epoch, METRICS, time.time())))
    result = Result(0.5312345678, None, METRICS, EPOCHS - 1, 0, 1, EPOCHS)
    store.record(Finished(number, 0, values, result, time.time()))


def median_of_recording(directory: Path, synchronous: str, times: int) -> float:
    store = open_store(directory)
    event.listen(store._engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA synchronous = {synchronous}").close())
    store.redefine(SPACE)
    taken = []
    for number in range(times):
        start = time.perf_counter()
        record_trial(store, number)
        taken.append(time.perf_counter() - start)
    store.close()
    return statistics.median(taken)


def fill(directory: Path, trials: int) -> None:
    store = open_store(directory)
    # Filling is not what is measured.
    event.listen(store._engine, "checkout", lambda raw, *_: raw.execute("PRAGMA synchronous = OFF").close())
    store.redefine(SPACE)
    for number in range(trials):
        record_trial(store, number)
    store.close()


def medians_of_reopening(directory: Path, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        moments = [time.perf_counter()]
        store = open_store(directory)
        moments.append(time.perf_counter())
        store.history()
        moments.append(time.perf_counter())
        store.history()
        moments.append(time.perf_counter())
        store.reports()
        moments.append(time.perf_counter())
        store.close()
        taken.append([after - before for before, after in pairwise(moments)])
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="how many trials the reopened search holds")
    parser.add_argument("--times", type=int, default=200, help="how many trials are timed while recorded")
    parser.add_argument("--directory", type=Path, help="where to write; the disk decides the result")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.directory) as name:
        for synchronous in ("FULL", "NORMAL"):
            seconds = median_of_recording(Path(name, synchronous), synchronous, given.times)
            print(f"claim + {EPOCHS} reports + finish, synchronous={synchronous}: {seconds * 1e3:.2f} ms")
        fill(Path(name, "long"), given.trials)
        opened, history, again, reports = medians_of_reopening(Path(name, "long"), 5)
        size = Path(name, "long", "search.db").stat().st_size
        print(f"{given.trials} finished trials with {EPOCHS} reports each, {size / 1e6:.1f} MB")
        print(f"  open {opened:.3f} s + history {history:.3f} s = {opened + history:.3f} s")
        print(f"  history once more: {again * 1e3:.2f} ms; all reports: {reports:.3f} s")


if __name__ == "__main__":
    main()
