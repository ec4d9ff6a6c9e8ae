"""A long search does not grow without bound."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# A process of its own, as a user's: in one that has run other tests, their memory comes and goes.
SCRIPT = """
import json
from pathlib import Path
import keras
import numpy as np
import choritsu as ct

def resident_megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

x, y = np.random.rand(128, 32, 32, 3).astype("float32"), np.random.randint(0, 10, 128)
seen = []

def build(hp):
    seen.append(resident_megabytes())
    hp.Int("unused", 0, 1000)
    model = keras.Sequential([
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

tuner = ct.RandomSearch(build, "val_accuracy", max_trials=20, seed=0)
tuner.search(x, y, validation_split=0.25, epochs=1, verbose=0)
print(json.dumps(seen))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_where_it_is_from_trial_to_trial(tmp_path):
    import keras

    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow itself keeps about 10 MB a model, with or without a tuner")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert len(seen) == 21
    # A model of 16 MB with its optimizer: without collection each trial would add several MB.
    assert (seen[-1] - seen[10]) / 10 < 1.0
