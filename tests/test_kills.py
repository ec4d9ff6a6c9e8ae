"""SIGKILL at random moments, again and again: a search ends with the same bits as one that nobody touched."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from choritsu.search import LOSSES
from choritsu.stores import load_checkpoint, open_store
from choritsu.trials import Report, Status

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no kill -9"),
]

#: How many kills; the long version is `CHORITSU_KILLS=500 pytest tests/test_kills.py`.
KILLS = int(os.environ.get("CHORITSU_KILLS", "0"))

LOOP = """
import numpy as np
import choritsu as ct

class Net:
    def __init__(self, rate):
        self.rate, self.weights, self.speed = rate, np.zeros(200), np.zeros(200)
    def step(self):
        self.speed = 0.9 * self.speed - self.rate * (self.weights - 1 + 0.1 * np.random.randn(200))
        self.weights = self.weights + self.speed
    def state_dict(self):
        return {"weights": self.weights, "speed": self.speed}
    def load_state_dict(self, state):
        self.weights, self.speed = state["weights"], state["speed"]

def train(hp, trial):
    net = Net(hp.Float("rate", 0.01, 0.5, sampling="log"))
    for epoch in trial.epochs(40, state={"net": net}):
        for _ in range(20):
            net.step()
        trial.report(loss=float(((net.weights - 1) ** 2).mean()))

tuner = ct.Hyperband(train, ct.Objective("loss", "min"), max_epochs=40, factor=3, seed=3)
tuner.search(verbose=0)
"""

KERAS = """
import keras
import numpy as np
import choritsu as ct

x = np.random.default_rng(0).normal(size=(256, 8, 8, 1)).astype("float32")
y = (x.mean((1, 2, 3)) > 0).astype("int32")

def build(hp):
    model = keras.Sequential([
        keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(),
        keras.layers.Flatten(), keras.layers.Dropout(0.3), keras.layers.Dense(2, activation="softmax"),
    ])
    rate = hp.LearningRate("rate", 1e-3, 1e-1, shapes=["cosine"])
    model.compile(keras.optimizers.Adam(rate.to_keras()), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

tuner = ct.RandomSearch(build, "val_loss", max_trials=3, seed=3)
tuner.search(
    x[:192], y[:192], epochs=6, batch_size=16, validation_data=(x[192:], y[192:]), verbose=0,
    callbacks=[keras.callbacks.EarlyStopping(patience=4)],
)
"""


class Script:
    """A search in a directory of its own, that can be begun and killed."""

    def __init__(self, directory: Path, text: str) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "script.py").write_text(text)

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=self.directory,
            env={**os.environ, "KERAS_BACKEND": "jax", "XDG_CACHE_HOME": str(self.directory.parent / "cache")},
            stderr=subprocess.PIPE,
        )

    def finish(self) -> None:
        process = self.start()
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()

    @property
    def place(self) -> Path:
        return self.directory / "untitled_project"

    def completed(self) -> set[tuple[int, int, float]]:
        """Give what has been reached for good: trials and their rungs."""
        if not (self.place / "search.db").exists():
            return set()
        with closing(open_store(self.place)) as store:
            history, reports = store.history(), store.reports()
        return {(trial.number, rung.until, rung.score) for trial in history for rung in trial.rungs} | {
            (trial.number, -execution, min(self._objective(reports[trial.number], execution)))
            for trial in history.completed
            if trial.until is None
            for execution in range(trial.result.executions)
        }

    @staticmethod
    def _objective(reports: Iterable[Report], execution: int) -> list[float]:
        told = [report.metrics for report in reports if report.execution == execution]
        return [metrics.get("val_loss", metrics["loss"]) for metrics in told]

    def reported(self) -> int:
        """Count the epochs that were told."""
        path = self.place / "search.db"
        if not path.exists():
            return 0
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
            return int(reader.execute("SELECT count(*) FROM reports").fetchone()[0])
        return 0

    def near_its_end(self) -> bool:
        """Tell whether one more death would have a trial given up, as the next without any progress should."""
        if not (self.place / "search.db").exists():
            return False
        with closing(open_store(self.place)) as store:
            return any(
                trial.losses == LOSSES - 1 and len(store.reports(trial.number).get(trial.number, ())) <= trial.lost_at
                for trial in store.history().having(Status.INTERRUPTED, Status.RUNNING)
            )

    def outcome(self) -> list[object]:
        """Give everything that came out, times left out."""
        with closing(open_store(self.place)) as store:
            reports = store.reports()
            return [
                (
                    trial.number,
                    trial.status,
                    dict(trial.values),
                    trial.result,
                    trial.rungs,
                    [(report.execution, report.epoch, dict(report.metrics)) for report in reports[trial.number]],
                )
                for trial in store.history()
            ]

    def best(self) -> Iterator[tuple[str, bytes]]:
        """Give the bits of what is kept of the best trials."""
        for path in sorted(self.place.glob("trials/*/best.safetensors")):
            net = load_checkpoint(path)["net"]
            yield path.parent.name, net["weights"].tobytes() + net["speed"].tobytes()
        for path in sorted(self.place.glob("trials/*/*.weights.h5")):
            import h5py

            names: list[str] = []
            with h5py.File(path) as file:
                file.visit(names.append)
                arrays = [file[name] for name in names]
                yield path.parent.name, b"".join(item[()].tobytes() for item in arrays if hasattr(item, "shape"))


PLAIN = LOOP.replace("ct.Hyperband", "ct.RandomSearch").replace("max_epochs=40, factor=3", "max_trials=20")
REPEATS = PLAIN.replace("max_trials=20", 'max_trials=12, executions_per_trial="auto"')
SIDE_BY_SIDE = PLAIN.replace("verbose=0", "verbose=0, workers=2")


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Give the worker processes."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.parametrize(
    ("text", "text_killed", "kills"),
    [(LOOP, LOOP, 24), (KERAS, KERAS, 3), (PLAIN, SIDE_BY_SIDE, 8), (REPEATS, REPEATS, 8)],
    ids=["loop", "keras", "workers", "repeats"],
)
def test_the_same_bits_however_often_it_is_killed(tmp_path, text, text_killed, kills):
    whole = Script(tmp_path / "whole", text)
    whole.finish()
    killed = 0
    while killed < max(KILLS, 1):
        script = Script(tmp_path / f"killed-from-{killed}", text_killed)
        killed += kill_again_and_again(script, kills, whole.reported(), random.Random(kills + killed))
        assert script.outcome() == whole.outcome()
        assert all(row[1] in (Status.COMPLETED, Status.FAILED) for row in script.outcome())
        assert list(script.best()) == list(whole.best())
        assert not list(script.place.rglob("*writing*"))


def kill_again_and_again(script, kills, total, chance):
    """Start a search again and again, killing it about so many times until it is at its end; give how many it was."""
    done: set[tuple[int, int, float]] = set()
    killed = 0
    for _ in range(kills):
        goal = script.reported() + chance.randint(0, 2 * total // kills)
        process = script.start()
        while script.reported() < goal and process.poll() is None:
            time.sleep(0.005)
        while script.near_its_end() and process.poll() is None:
            time.sleep(0.05)
        # Anywhere in an epoch, a save or a commit; now and then before the first.
        time.sleep(chance.uniform(0.0, 0.05 if goal else 0.5))
        if process.poll() is not None:
            process.communicate()
            break
        # Now and then a worker dies first, and another takes its trial up.
        workers = children(process)
        if workers and chance.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
            killed += 1
            time.sleep(chance.uniform(0.0, 0.5))
            while script.near_its_end() and process.poll() is None:
                time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        killed += 1
        process.communicate()
        now = script.completed()
        assert done <= now
        done = now
    assert killed >= kills // 2
    script.finish()
    return killed
