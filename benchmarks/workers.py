"""What workers cost and give: the time between trials in a warm worker, and two workers against one on two cores.

The same small CNNs are searched with one worker and with two, in turns, so that a busy machine slows both; the ratio of
medians counts. XLA uses several cores for one training, where it can: what a second worker adds is what that leaves.

    KERAS_BACKEND=jax python benchmarks/workers.py --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import itertools

import keras
import numpy as np

import choritsu as ct

#: Images so small that a training cannot keep two cores busy by itself, as it can with large ones.
SIZE = 12


def build(hp):
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            keras.layers.Conv2D(hp.Int("filters", 8, 32, step=8), 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def searched(x, y, workers: int, trials: int, epochs: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        tuner = ct.RandomSearch(build, "loss", max_trials=trials, seed=0, directory=directory)
        tuner.search(x, y, epochs=epochs, batch_size=64, workers=workers, verbose=0)
        assert len(tuner.history.completed) == trials
        return time.perf_counter() - begun


def between_trials(trials: int, **options) -> list[float]:
    """Give what each trial but the first cost beyond a training of 50 ms; with GPUs to share out, in a process."""
    with tempfile.TemporaryDirectory() as directory:

        def train(hp):
            hp.Float("x", 0, 1)
            time.sleep(0.05)
            return 0.0

        tuner = ct.RandomSearch(train, max_trials=trials, seed=0, directory=directory)
        tuner.search(verbose=0, **options)
        ends = [trial.ended or 0.0 for trial in tuner.history]
        return [later - earlier - 0.05 for earlier, later in itertools.pairwise(ends)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=4000)
    given = parser.parse_args()

    for name, options in (("this process", {}), ("a warm worker", {"gpus_per_trial": 0})):
        cost = statistics.median(between_trials(40, **options))
        print(f"a trial costs {1000 * cost:.1f} ms beyond its training in {name}")

    rng = np.random.default_rng(0)
    x = rng.random((given.images, SIZE, SIZE, 1), dtype="float32")
    y = rng.integers(0, 10, given.images)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(given.rounds):
        for workers, times in seconds.items():
            times.append(searched(x, y, workers, given.trials, given.epochs))
    one, two = (statistics.median(times) for times in seconds.values())
    print(f"{given.trials} CNNs: one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast")


if __name__ == "__main__":
    main()
