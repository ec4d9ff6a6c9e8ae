"""What it costs to be able to go on: saving a training's state, against an epoch of a CNN on images of CIFAR's size.

The network and Adam's moments are about 15 MB. The same training is searched twice: saving after every epoch, to time
it, and as often as the library does by itself, which spends at most a twentieth of the time on it.

    KERAS_BACKEND=jax python benchmarks/checkpoints.py --data cifar10.npz
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from unittest import mock

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import choritsu as ct
from choritsu import states

SHAPE = (32, 32, 3)


def images(data: Path | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give images and classes from a file with x_train and y_train, or noise of the same shape."""
    if data is None:
        rng = np.random.default_rng(0)
        return rng.random((count, *SHAPE), dtype="float32"), rng.integers(0, 10, count)
    with np.load(data) as file:
        return (file["x_train"][:count] / 255).astype("float32"), file["y_train"][:count].ravel()


def build(hp):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(32, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


@contextmanager
def watched(share: float) -> Iterator[tuple[list[float], list[int]]]:
    """Let saving take this share of the time; list how long each save took, and the bytes that it wrote."""
    seconds: list[float] = []
    sizes: list[int] = []
    save = states.Keeper.save

    def timed(keeper, made):
        begun = time.perf_counter()
        saved = save(keeper, made)
        seconds.append(time.perf_counter() - begun)
        sizes.append(keeper.path.stat().st_size)
        return saved

    with mock.patch.object(states.Keeper, "save", timed), mock.patch.object(states, "SHARE", share):
        yield seconds, sizes


def epochs_of_a_search(x: np.ndarray, y: np.ndarray, epochs: int, batch: int) -> list[float]:
    """Search one trial; give how long each epoch took but the first, which compiles."""
    with tempfile.TemporaryDirectory() as directory:
        tuner = ct.RandomSearch(build, "loss", max_trials=1, seed=0, directory=directory)
        moments: list[float] = []
        noting = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: moments.append(time.perf_counter()),
            on_epoch_end=lambda epoch, logs: moments.append(time.perf_counter()),
        )
        tuner.search(x, y, epochs=epochs, batch_size=batch, verbose=0, callbacks=lambda: [noting])
        return [end - begin for begin, end in list(pairwise(moments))[2::2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="an .npz with x_train and y_train; noise without it")
    parser.add_argument("--images", type=int, default=2000, help="how many an epoch has; CIFAR-10 has 50,000")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    x, y = images(given.data, given.images)

    with watched(1.0) as (saves, sizes):
        epochs = epochs_of_a_search(x, y, given.epochs, given.batch)
    save, epoch = statistics.median(saves), statistics.median(epochs)
    share = states.SHARE
    print(f"{len(x)} images, an epoch {epoch:.2f} s; saving {max(sizes) / 1e6:.1f} MB {1000 * save:.0f} ms")
    print(f"saved after every epoch, that is {save / epoch:.2%} of its time")
    with watched(share) as (saves, _):
        epochs_of_a_search(x, y, given.epochs, given.batch)
    print(f"by itself, at most {share:.0%} of the time: {len(saves)} saves in {given.epochs} epochs")


if __name__ == "__main__":
    main()
