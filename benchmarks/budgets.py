"""What budgets save: Hyperband against a random search of full trainings, and against the peers that are installed.

Every method tunes the same small CNN on the same images, with the same epochs in a full training. Random search trains
30 combinations in full. For the others, the number of epochs is told that they had trained when they first reached the
score of random search's best, and the score that they ended with. Medians over seeds count.

    KERAS_BACKEND=jax python benchmarks/budgets.py --data cifar10.npz --seeds 5

`--data` takes a file in the layout of keras.datasets; without it scikit-learn's digits are used. Keras Tuner and Optuna
take part where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

import choritsu as ct
from choritsu.demo import Images, digits, images_from

EPOCHS = 9
#: Epochs trained so far, and the score that was reached with the last of them.
Curve = list[tuple[int, float]]


def build(hp, images: Images):
    model = keras.Sequential(
        [
            keras.Input(images.train[0].shape[1:]),
            keras.layers.Conv2D(hp.Int("filters", 8, 32, step=8), 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(hp.Float("dropout", 0.0, 0.6)),
            keras.layers.Dense(hp.Int("units", 16, 128, step=16), activation="relu"),
            keras.layers.Dense(images.train[1].shape[1], activation="softmax"),
        ]
    )
    rate = hp.Float("rate", 1e-5, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def curve_of(tuner) -> Curve:
    """Give the scores of a search of ours in the order in which they were reported."""
    reports = sorted((report for told in tuner.summary.reports.values() for report in told), key=lambda told: told.at)
    return [(done, report.metrics["val_accuracy"]) for done, report in enumerate(reports, start=1)]


def ours(tuner_of: Callable[..., ct.Tuner], images: Images, seed: int, **options) -> Curve:
    with tempfile.TemporaryDirectory() as directory:
        tuner = tuner_of(lambda hp: build(hp, images), "val_accuracy", seed=seed, directory=directory, **options)
        tuner.search(*images.train, validation_data=images.test, epochs=EPOCHS, verbose=0)
        return curve_of(tuner)


class Told(keras.callbacks.Callback):
    """Notes every epoch's score, whoever trains."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        self.curve = curve

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.curve.append((len(self.curve) + 1, logs["val_accuracy"]))

    def __deepcopy__(self, memo) -> Told:
        return self


def keras_tuner(images: Images, seed: int) -> Curve:
    import keras_tuner

    curve: Curve = []
    with tempfile.TemporaryDirectory() as directory:
        tuner = keras_tuner.Hyperband(
            lambda hp: build(hp, images), "val_accuracy", max_epochs=EPOCHS, seed=seed, directory=directory
        )
        tuner.search(*images.train, validation_data=images.test, verbose=0, callbacks=[Told(curve)])
    return curve


class Asked:
    """Optuna's trial under our names."""

    def __init__(self, trial) -> None:
        self.trial = trial

    def Int(self, name, low, high, step):
        return self.trial.suggest_int(name, low, high, step=step)

    def Float(self, name, low, high, sampling="linear"):
        return self.trial.suggest_float(name, low, high, log=sampling == "log")


def optuna(images: Images, seed: int, epochs: int) -> Curve:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    curve: Curve = []

    class Report(Told):
        def __init__(self, trial) -> None:
            super().__init__(curve)
            self.trial = trial

        def on_epoch_end(self, epoch, logs=None) -> None:
            super().on_epoch_end(epoch, logs)
            self.trial.report(logs["val_accuracy"], epoch + 1)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def objective(trial):
        if len(curve) >= epochs:
            trial.study.stop()
        keras.utils.clear_session()
        keras.utils.set_random_seed(seed * 1000 + trial.number)
        model = build(Asked(trial), images)
        history = model.fit(
            *images.train, validation_data=images.test, epochs=EPOCHS, verbose=0, callbacks=[Report(trial)]
        )
        return max(history.history["val_accuracy"])

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed),
        pruner=optuna.pruners.HyperbandPruner(1, EPOCHS, 3),
    )
    study.optimize(objective, n_trials=1000)
    return curve


def methods(images: Images, seed: int) -> Iterator[tuple[str, Curve]]:
    """Run every method that can be run here, random search first."""
    yield "random search, 30 in full", ours(ct.RandomSearch, images, seed, max_trials=30)
    hyperband = ours(ct.Hyperband, images, seed, max_epochs=EPOCHS)
    yield "choritsu Hyperband", hyperband
    # Twice all brackets: what it needs is told all the same.
    twice = {"max_epochs": EPOCHS, "hyperband_iterations": 2, "oracle": ct.oracles.BayesianOptimization()}
    yield "choritsu Hyperband, Bayesian", ours(ct.Hyperband, images, seed, **twice)
    yield "choritsu ASHA", ours(ct.ASHA, images, seed, max_epochs=EPOCHS, max_trials=30)
    if importlib.util.find_spec("keras_tuner"):
        yield "Keras Tuner Hyperband", keras_tuner(images, seed)
    if importlib.util.find_spec("optuna"):
        yield "Optuna HyperbandPruner", optuna(images, seed, len(hyperband))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    images = digits() if given.data is None else images_from(given.data, given.images)
    found: dict[str, list[tuple[int, float, float]]] = {}
    for seed in range(given.seeds):
        goal = 0.0
        for name, curve in methods(images, seed):
            best = max(score for _, score in curve)
            goal = goal or best
            reached = next((done for done, score in curve if score >= goal), float("inf"))
            found.setdefault(name, []).append((len(curve), best, reached))
            print(
                f"seed {seed}  {name:30}  {len(curve):4} epochs  best {best:.4f}  random's best after {reached}",
                flush=True,
            )
    print(f"\n{images.name}, {len(images.train[0]):,} images, medians of {given.seeds} seeds")
    for name, runs in found.items():
        epochs, best, reached = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:30}  {epochs:5.0f} epochs  best {best:.4f}  random's best after {reached:g}")


if __name__ == "__main__":
    main()
