"""One seed for all the random numbers that a training may draw."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, and whichever of PyTorch, Keras and TensorFlow has been imported.

    Args:
        seed: in [0, 2**32).

    Example:
        >>> seed_everything(7)
        >>> first = random.random()
        >>> seed_everything(7)
        >>> random.random() == first
        True
    """
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    if "keras" in sys.modules:
        keras = sys.modules["keras"]
        with _without_importing_tensorflow(keras):
            keras.utils.set_random_seed(seed)


@contextmanager
def _without_importing_tensorflow(keras: ModuleType) -> Iterator[None]:
    """Keep Keras from importing TensorFlow only to seed it: seconds and 300 MB for those who run on JAX or PyTorch."""
    try:
        module = keras.src.utils.module_utils.tensorflow
        known = module._available
    except AttributeError:
        known = True
    if known is not None or "tensorflow" in sys.modules or keras.backend.backend() == "tensorflow":
        yield
        return
    module._available = False
    try:
        yield
    finally:
        module._available = None
