"""What a search costs beyond its trainings: five Keras models searched, and fitted in a plain loop.

Both build the same models from the same values and seeds, fit them on the same images, and keep the
weights of the best epoch. They take turns, so that a busy machine slows both; the ratio of medians counts.

    KERAS_BACKEND=jax python benchmarks/overhead.py --rounds 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import choritsu as ct
from choritsu.frameworks.backends import keep_compiled_programs

SHAPE = (32, 32, 3)


def data(images: int):
    rng = np.random.default_rng(0)
    x = rng.random((images, *SHAPE), dtype="float32")
    y = keras.utils.to_categorical(rng.integers(0, 10, images), 10)
    return (x[: images * 4 // 5], y[: images * 4 // 5]), (x[images * 4 // 5 :], y[images * 4 // 5 :])


def build(hp):
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(hp.Int("filters", 10, 40, step=10), hp.Int("kernel_size", 2, 5), activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 50, 200, step=50), activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    rate = hp.Choice("learning_rate", [1e-2, 1e-3, 1e-4])
    model.compile(keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def searched(train, test, trials: int, epochs: int) -> tuple[float, list]:
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        tuner = ct.RandomSearch(build, "val_accuracy", max_trials=trials, seed=0, directory=directory)
        tuner.search(*train, epochs=epochs, validation_data=test, verbose=0)
        seconds = time.perf_counter() - begun
        return seconds, [(trial.values, trial.score) for trial in tuner.history]


def fitted(train, test, values: list, epochs: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        for number, chosen in enumerate(values):
            keras.utils.clear_session(free_memory=False)
            keras.utils.set_random_seed(number)
            hp = ct.HyperParameters()
            hp.values.update(chosen)
            best = keras.callbacks.ModelCheckpoint(
                Path(directory) / f"{number}.weights.h5",
                monitor="val_accuracy",
                mode="max",
                save_best_only=True,
                save_weights_only=True,
            )
            build(hp).fit(*train, epochs=epochs, validation_data=test, verbose=0, callbacks=[best])
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=2500)
    options = parser.parse_args()
    if keras.backend.backend() == "jax":
        import jax

        keep_compiled_programs(jax)  # For both, so that only the search itself differs.
    train, test = data(options.images)
    _, trials = searched(train, test, options.trials, options.epochs)
    values = [chosen for chosen, _ in trials]
    fitted(train, test, values, options.epochs)
    plain, search = [], []
    for _ in range(options.rounds):
        search.append(searched(train, test, options.trials, options.epochs)[0])
        plain.append(fitted(train, test, values, options.epochs))
        print(f"search {search[-1]:6.2f} s   plain loop {plain[-1]:6.2f} s   ratio {search[-1] / plain[-1]:.3f}")
    ratio = statistics.median(search) / statistics.median(plain)
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, {options.trials} trials of {options.epochs} epochs: "
        f"median {statistics.median(search):.2f} s against {statistics.median(plain):.2f} s, ratio {ratio:.3f}"
    )


if __name__ == "__main__":
    main()
