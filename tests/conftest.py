"""What all tests share: Keras runs on JAX unless the environment says otherwise, and a few hundred digits."""

import gc
import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
# Tests train for moments: most of their time would go into compiling well.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Tests run side by side; threads that wait for cores in a loop take them from each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import Any, NamedTuple

import pytest

# What the published kits assert is shown as in any test.
for kit in ("executors", "oracles", "stores"):
    pytest.register_assert_rewrite(f"choritsu.testing.{kit}")


class Digits(NamedTuple):
    """Handwritten digits of 8 x 8 pixels in [0, 1], with their classes from 0 to 9."""

    x: Any
    y: Any
    x_val: Any
    y_val: Any

    @property
    def validation(self):
        return self.x_val, self.y_val


@pytest.fixture(scope="session")
def slow_collections():
    """List the seconds of garbage collections that took long."""
    begun, slow = [0.0], []

    def watch(phase, about):
        if phase == "start":
            begun[0] = time.perf_counter()
        elif (taken := time.perf_counter() - begun[0]) > 0.003:
            slow.append(taken)

    gc.callbacks.append(watch)
    yield slow
    gc.callbacks.remove(watch)


@pytest.fixture(autouse=True)
def frameworks_set_aside(slow_collections):
    """Keep the collections of each search from walking over the million objects of the frameworks."""
    if slow_collections:
        gc.collect()
        gc.freeze()
        slow_collections.clear()


@pytest.fixture
def plain_workers(monkeypatch):
    """Have worker processes import nothing that only other tests have imported here."""
    monkeypatch.setattr("choritsu.executors.surroundings.settings", dict)


@pytest.fixture(scope="session")
def digits():
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    x, y = (pixels / 16.0).reshape(-1, 8, 8).astype("float32"), classes.astype("int32")
    return Digits(x[:192], y[:192], x[192:288], y[192:288])
