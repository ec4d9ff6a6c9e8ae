"""One program, every Keras backend; and a backend that works, where nobody has chosen one."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CNN = """
import choritsu as keras_tuner
import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

pixels, classes = load_digits(return_X_y=True)
x = (pixels[:300] / 16).reshape(-1, 8, 8, 1).astype("float32")
y = keras.utils.to_categorical(classes[:300], 10)
x_train, y_train, x_test, y_test = x[:200], y[:200], x[200:], y[200:]


def build_model(hp):
    model = keras.Sequential()
    model.add(
        layers.Conv2D(
            filters=hp.Range("filters", min_value=10, max_value=40, step=10),
            kernel_size=hp.Range("kernel_size", min_value=2, max_value=5, step=1),
            activation="relu",
        )
    )
    model.add(layers.MaxPooling2D(pool_size=(2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dense(units=hp.Range("units", min_value=50, max_value=200, step=50), activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(hp.Choice("learning_rate", values=[1e-2, 1e-3, 1e-4])),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


tuner = keras_tuner.RandomSearch(
    build_model,
    objective="val_accuracy",
    max_trials=2,
    executions_per_trial=1,
    directory="tuning",
    project_name="log",
    **MORE,
)
tuner.search_space_summary()
tuner.search(x_train, y_train, epochs=2, validation_data=(x_test, y_test))
tuner.results_summary()

best, other = tuner.oracle.get_best_trials(2)
assert best.score >= other.score, (best.score, other.score)
for trial in (best, other):
    values = trial.hyperparameters.values
    # The upper bounds of 2019 are excluded.
    assert values["filters"] in (10, 20, 30), values
    assert values["kernel_size"] in (2, 3, 4), values
    assert values["units"] in (50, 100, 150), values
models = tuner.get_best_models(2)
for trial, model in zip((best, other), models):
    measured = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    assert abs(measured["accuracy"] - trial.score) < 1e-6, (measured, trial.score)
    assert abs(measured["loss"] - trial.metrics["val_loss"]) < 1e-4, (measured, trial.metrics)
assert models[0].layers[0].filters == best.hyperparameters.get("filters")
assert keras.backend.backend() == BACKEND
"""

TINY = """
import sys

import choritsu as ct

assert "keras" not in sys.modules
import keras
import numpy as np


def build_model(hp):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Choice("learning_rate", [1e-2, 1e-3])), loss="mse")
    return model


tuner = ct.RandomSearch(build_model, objective="val_loss", max_trials=1, directory="tuning")
tuner.search(np.ones((8, 2), "float32"), np.ones((8, 1), "float32"), validation_split=0.5)
print("ran on", keras.backend.backend())
"""

#: Read by Python at its start: packages named here seem not to be installed.
HIDING = """
import os
import sys
from importlib.machinery import PathFinder


class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in os.environ["HIDDEN_PACKAGES"].split()
        return None if hidden else super().find_spec(name, path, target)


sys.meta_path = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
"""


def run(program: str, directory: Path, **environment: str | None) -> str:
    """Run a program in a directory of its own; give what it printed."""
    (directory / "program.py").write_text(textwrap.dedent(program))
    variables = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_without(hidden: str, program: str, directory: Path, **environment: str | None) -> str:
    """Run a program where some packages are not installed, and nobody has chosen a backend."""
    (directory / "site").mkdir()
    (directory / "home").mkdir()
    (directory / "site" / "sitecustomize.py").write_text(HIDING)
    path = os.pathsep.join(filter(None, [str(directory / "site"), os.environ.get("PYTHONPATH")]))
    mine = {
        "KERAS_BACKEND": None,
        "KERAS_HOME": None,
        "HOME": str(directory / "home"),
        "USERPROFILE": str(directory / "home"),
        "PYTHONPATH": path,
        "HIDDEN_PACKAGES": hidden,
    }
    return run(program, directory, **mine | environment)


def check_job(output: str, backend: str, directory: Path) -> None:
    """Hold what was printed to what the job needs to be told."""
    for name in ("filters", "kernel_size", "units", "learning_rate", "10 to 30", "50 to 150", "step 50"):
        assert name in output
    first = next(line for line in output.splitlines() if line.startswith("Search in "))
    assert f"on {backend}" in first
    assert "val_accuracy" in first
    assert "2 completed" in output
    assert output.count(str(Path("tuning", "log"))) >= 2
    assert list((directory / "tuning" / "log").rglob("*.weights.h5"))


class TestTheFirstJob:
    # On JAX, the demonstration and most other tests train.
    def test_runs_on_torch_where_that_is_all_there_is(self, tmp_path):
        program = f"BACKEND, MORE = 'torch', {{}}\n{CNN}"
        check_job(run_without("tensorflow jax", program, tmp_path), "torch", tmp_path)

    def test_runs_on_tensorflow_also_under_a_strategy(self, tmp_path):
        program = (
            "import tensorflow as tf\n"
            "class Counted(tf.distribute.MirroredStrategy):\n"
            "    entered = 0\n"
            "    def scope(self):\n"
            "        Counted.entered += 1\n"
            "        return super().scope()\n"
            "BACKEND, MORE = 'tensorflow', {'distribution_strategy': Counted(['/cpu:0'])}\n"
            f"{CNN}\n"
            # Two trials are built and trained, and two models built again.
            "assert Counted.entered >= 4, Counted.entered\n"
        )
        output = run_without("jax torch", program, tmp_path, TF_CPP_MIN_LOG_LEVEL="3")
        check_job(output, "tensorflow", tmp_path)


class TestABackendThatNobodyChose:
    # With PyTorch or TensorFlow alone, the first job runs.
    def test_is_one_that_is_installed_and_said(self, tmp_path):
        lines = run_without("tensorflow torch", TINY, tmp_path).splitlines()
        assert lines[0].startswith("Search in ")
        assert "on jax" in lines[0]
        assert "ran on jax" in lines

    def test_a_choice_that_was_made_stands(self, tmp_path):
        lines = run_without("tensorflow", TINY, tmp_path, KERAS_BACKEND="torch").splitlines()
        assert "on torch" in lines[0]
        assert "ran on torch" in lines


class TestCompiledPrograms:
    def test_what_a_killed_process_left_half_written_does_not_stop_the_rest(self, tmp_path):
        cache = tmp_path / "cache"
        environment = {"KERAS_BACKEND": "jax", "XDG_CACHE_HOME": str(cache), "JAX_DISABLE_MOST_OPTIMIZATIONS": None}
        # Only what takes a while to compile is kept at all.
        deep = TINY.replace("[keras.layers", "[*(keras.layers.Dense(n, 'relu') for n in range(9, 15)), keras.layers")
        # JAX writes a program first and the time of its use second, and stumbles over one without.
        between = """
from pathlib import Path

kept = set(Path(CACHE).rglob("*-cache"))
assert kept
for used in Path(CACHE).rglob("*-atime"):
    used.unlink()
tuner = ct.RandomSearch(build_model, objective="val_loss", max_trials=1, directory="other")
tuner.search(np.ones((8, 3), "float32"), np.ones((8, 1), "float32"), validation_split=0.5)
assert set(Path(CACHE).rglob("*-cache")) - kept
"""
        run(f"CACHE = {str(cache)!r}\n{deep}\n{between}", tmp_path, **environment)
