"""What workers cost and give: the time between trials in a warm worker, and two workers against one on two cores.

Small CNNs, each of a shape of its own, are searched by one worker that has the whole machine, and by two that share it;
the start of the workers counts. Once every program is compiled anew, as in a first search, and once all have been
compiled before, as where a search is run again. The two take turns, so that a busy machine slows both; the ratio of
medians counts. XLA uses several cores for one training, and for compiling, where it can: what a second worker adds is
what that leaves. The seconds of CPU tell how much that is: one worker that keeps 1.4 of two cores busy leaves room for
two to be 1.43 times as fast, if they do not save any. Larger images leave less. PyTorch compiles nothing, so that its
searches run once only.

    KERAS_BACKEND=jax python benchmarks/workers.py --rounds 3
    KERAS_BACKEND=torch python benchmarks/workers.py --rounds 3
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import choritsu as ct


def build(hp, size: int):
    model = keras.Sequential(
        [
            keras.Input((size, size, 1)),
            keras.layers.Conv2D(
                hp.Int("filters", 8, 32), hp.Int("kernel_size", 2, 4), padding="same", activation="relu"
            ),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 32, 128, step=32), activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def searched(x, y, workers: int, trials: int, epochs: int) -> tuple[float, float]:
    """Give the seconds of a search, by the clock and of CPU in its workers."""
    with tempfile.TemporaryDirectory() as directory:
        begun, before = time.perf_counter(), _of_children()
        size = x.shape[1]
        tuner = ct.RandomSearch(lambda hp: build(hp, size), "loss", max_trials=trials, seed=0, directory=directory)
        # Asked how GPUs are shared out, also a single worker is a process of its own.
        tuner.search(x, y, epochs=epochs, batch_size=64, workers=workers, gpus_per_trial=0, verbose=0)
        assert len(tuner.history.completed) == trials
        return time.perf_counter() - begun, _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
    parser.add_argument("--trials", type=int, default=40, help="whose programs have been compiled before")
    parser.add_argument("--anew", type=int, default=16, help="trials whose programs are compiled anew")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--size", type=int, default=12, help="their height and width")
    given = parser.parse_args()

    for name, options in (("this process", {}), ("a warm worker", {"gpus_per_trial": 0})):
        cost = statistics.median(between_trials(40, **options))
        print(f"a trial costs {1000 * cost:.1f} ms beyond its training in {name}")

    rng = np.random.default_rng(0)
    x = rng.random((given.images, given.size, given.size, 1), dtype="float32")
    y = rng.integers(0, 10, given.images)
    if keras.backend.backend() != "jax":
        compare("never", x, y, given.trials, given.epochs, given.rounds, None)
        return
    with tempfile.TemporaryDirectory() as kept:
        for told, trials, directory in (("anew", given.anew, None), ("before", given.trials, kept)):
            if directory is not None:
                _searched_with(directory, x, y, 2, trials, given.epochs)
            compare(told, x, y, trials, given.epochs, given.rounds, directory)


def compare(told: str, x, y, trials: int, epochs: int, rounds: int, programs: str | None) -> None:
    """Search by one worker and by two in turns; where no programs are kept, each search begins with an empty folder."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, seconds in taken.items():
            with tempfile.TemporaryDirectory() as empty:
                clock, cpu = _searched_with(programs or empty, x, y, workers, trials, epochs)
            seconds.append(clock)
            print(f"{workers} worker(s): {clock:.1f} s, {cpu:.1f} s of CPU, {cpu / clock:.2f} cores busy", flush=True)
    one, two = (statistics.median(seconds) for seconds in taken.values())
    print(f"{trials} CNNs, compiled {told}: one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast")


def _searched_with(programs: str, *arguments) -> tuple[float, float]:
    if keras.backend.backend() == "jax":
        import jax

        # The workers are told what is set here.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        jax.config.update("jax_compilation_cache_dir", programs)
    return searched(*arguments)


if __name__ == "__main__":
    main()
