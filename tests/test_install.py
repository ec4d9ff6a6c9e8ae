"""Installed from a wheel into an empty environment, the first search works."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SEARCH = """
import sys, tempfile
import choritsu as keras_tuner
import keras
import numpy as np

def build_model(hp):
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 8), activation="relu"), keras.layers.Dense(1)])
    model.compile("adam", loss="mse")
    return model

x, y = np.random.rand(40, 3), np.random.rand(40)
tuner = keras_tuner.RandomSearch(build_model, "val_loss", max_trials=2, directory=tempfile.mkdtemp())
tuner.search_space_summary()
tuner.search(x, y, epochs=1, validation_split=0.5)
tuner.results_summary()
assert len(tuner.history.completed) == 2
assert np.isclose(tuner.get_best_models()[0].evaluate(x[20:], y[20:], verbose=0), tuner.history.best.score, rtol=1e-4)
tuner.report(tempfile.mkdtemp() + "/report.html")
print("ran on", keras.backend.backend(), "with tensorflow" if "tensorflow" in sys.modules else "without tensorflow")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(place), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    return next(place.glob("*.whl"))


@pytest.mark.slow
def test_a_fresh_environment_runs_a_search(wheel, tmp_path):
    """With what `choritsu[keras]` brings and nothing else; tests/test_backends.py hides packages for the rest."""
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # One search imports few of the files, and would wait for all of them to be compiled.
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    subprocess.run([*command, "-c", ROOT / "constraints.txt", f"{wheel}[keras]"], check=True, timeout=600)
    environ = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environ["HOME"] = str(tmp_path)  # Without a keras.json that names a backend.
    run = subprocess.run(
        [python, "-c", SEARCH], capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "ran on jax without tensorflow" in run.stdout
    assert "Keras" in run.stdout
    assert "on jax" in run.stdout
