"""What all tests share: Keras runs on JAX unless the environment says otherwise, and a few hundred digits."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from typing import Any, NamedTuple

import pytest


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
def digits():
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    x, y = (pixels / 16.0).reshape(-1, 8, 8).astype("float32"), classes.astype("int32")
    return Digits(x[:192], y[:192], x[192:288], y[192:288])
