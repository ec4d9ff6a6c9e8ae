"""The demonstration: tune a small convolutional network on images, on whatever Keras runs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import keras
import numpy as np

from choritsu.errors import DemoError
from choritsu.hyperparameters import HyperParameters
from choritsu.trials import Status
from choritsu.tuners import RandomSearch


@dataclass(frozen=True)
class Images:
    """Images scaled to [0, 1], shape (n, height, width, channels), and one-hot labels.

    Args:
        name: for people.
        project: the name of its search, so that results on other data are not mixed in.
        train: images and labels to train on.
        test: images and labels to validate on.
    """

    name: str
    project: str
    train: tuple[Any, Any]
    test: tuple[Any, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return tuple(self.train[0].shape[1:])

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return int(self.train[1].shape[1])


def digits() -> Images:
    """Give scikit-learn's 1,797 real handwritten digits of 8 x 8 pixels, which its wheel ships.

    Raises:
        DemoError: when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DemoError(
            "the demo's digits come with scikit-learn: pip install scikit-learn, or give --data FILE.npz"
        ) from error
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.images))
    return _images("scikit-learn's digits", "demo", data.images[order] / 16.0, data.target[order], held_out=360)


def images_from(path: Path, samples: int | None) -> Images:
    """Read images from an .npz file in the layout of keras.datasets.

    Args:
        path: a file with x_train, y_train, x_test and y_test, such as MNIST's or CIFAR-10's.
        samples: how many images to train on; None for all.

    Raises:
        DemoError: when the file cannot be read or lacks an array.
    """
    if not path.exists():
        raise DemoError(f"there is no file {path}")
    if not is_zipfile(path):
        raise DemoError(f"{path} is no .npz file; write one with numpy.savez(file, x_train=..., y_train=..., ...)")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in ("x_train", "y_train", "x_test", "y_test") if name not in file]
            if missing:
                raise DemoError(f"{path} has no {', '.join(missing)}; it holds {', '.join(file.files) or 'nothing'}")
            arrays = {name: file[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except (OSError, ValueError, BadZipFile) as error:
        raise DemoError(f"{path} cannot be read as an .npz file of arrays: {error}") from error
    taken = slice(None, samples)
    held_out = slice(None, None if samples is None else max(1, samples // 5))
    x = np.concatenate([arrays["x_train"][taken], arrays["x_test"][held_out]])
    y = np.concatenate([arrays["y_train"][taken].ravel(), arrays["y_test"][held_out].ravel()])
    return _images(
        path.name, f"demo-{path.stem}", x / (255.0 if x.max() > 1 else 1.0), y, held_out=len(arrays["x_test"][held_out])
    )


def _images(name: str, project: str, x: Any, y: Any, held_out: int) -> Images:
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4:
        raise DemoError(f"images must have the shape (n, height, width[, channels]), got {x.shape}")
    if min(x.shape[1:3]) < 6:
        raise DemoError(f"images must be at least 6 pixels wide and high, got {x.shape[1:3]}")
    x = x.astype("float32")
    labels = keras.utils.to_categorical(y.astype("int64"))
    return Images(name, project, (x[:-held_out], labels[:-held_out]), (x[-held_out:], labels[-held_out:]))


def learning_rate(hp: HyperParameters) -> Any:
    """Ask for the learning rate: how high, what shape, how long to warm up."""
    return hp.LearningRate("lr", 1e-4, 1e-2, shapes=["constant", "linear", "cosine"], warmup=(0.0, 0.2))


def network(hp: HyperParameters, shape: tuple[int, ...], classes: int) -> Any:
    """Build the network: one convolution, one hidden layer, Adam; its sizes and its learning rate to be tuned."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(
                filters=hp.Int("filters", 10, 40, step=10),
                kernel_size=hp.Int("kernel_size", 2, 5, step=1),
                activation="relu",
            ),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(hp.Int("units", 50, 200, step=50), activation="relu"),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate(hp).to_keras()),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def run(images: Images, directory: Path, *, trials: int, epochs: int, seed: int) -> Path:
    """Tune the network, print both summaries, and write the report.

    Run a second time in the same directory, it continues, with as many trials more.

    Args:
        images: the data.
        directory: where the search is kept.
        trials: how many combinations to try.
        epochs: how long to train each, in epochs.
        seed: of suggestions and trainings.

    Returns:
        The report's path.
    """
    tuner = RandomSearch(
        lambda hp: network(hp, images.shape, images.classes),
        objective="val_accuracy",
        max_trials=trials,
        seed=seed,
        directory=directory,
        project_name=images.project,
    )
    made = len(tuner.history.having(Status.COMPLETED, Status.FAILED))
    if made >= trials:
        tuner = RandomSearch(
            tuner.hypermodel,
            objective="val_accuracy",
            max_trials=made + trials,
            seed=seed,
            directory=directory,
            project_name=images.project,
        )
    print(f"Tuning a convolutional network on {images.name}: {len(images.train[0]):,} images of {images.shape}.\n")
    tuner.search_space_summary()
    x, y = images.train
    tuner.search(x, y, epochs=epochs, validation_data=images.test)
    print()
    tuner.results_summary()
    loss, accuracy = tuner.get_best_models()[0].evaluate(*images.test, verbose=0)
    print(f"\nThe best model, loaded again: accuracy {accuracy:.4f}, loss {loss:.4f}.")
    rate = learning_rate(tuner.get_best_hyperparameters()[0])
    peak = max(rate.bind(horizon=100).table(100))
    print(f"Its learning rate, over its {epochs} epochs: {rate.sparkline()} up to {peak:.3g}")
    return tuner.report(Path(tuner.project_dir) / "report.html")
