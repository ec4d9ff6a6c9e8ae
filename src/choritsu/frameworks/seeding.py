"""One seed for all the random numbers that a training may draw."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from choritsu.chance import derive


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
            _seed_keras(keras, seed)


def _seed_keras(keras: ModuleType, seed: int) -> None:
    if keras.backend.backend() != "tensorflow":
        keras.utils.set_random_seed(seed)
        return
    from keras.src.backend.common import global_state
    from keras.src.random import seed_generator

    # Keras makes its global generator anew, and a program that TensorFlow has compiled still draws from the old one.
    generator = seed_generator.global_seed_generator()
    keras.utils.set_random_seed(seed)
    generator.state.assign([seed, 0])
    global_state.set_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR, generator)


def reseed(thing: Any, seed: int, *key: int) -> None:
    """Seed the generators of random numbers that an object holds as its attributes.

    Args:
        thing: any object.
        seed: in [0, 2**32).
        key: tells objects apart that hold generators by the same names.

    Example:
        >>> from types import SimpleNamespace
        >>> thing = SimpleNamespace(generator=random.Random())
        >>> reseed(thing, 7)
        >>> first = thing.generator.random()
        >>> reseed(thing, 7)
        >>> thing.generator.random() == first
        True
    """
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    for name, value in vars(thing).items() if hasattr(thing, "__dict__") else ():
        own = derive(seed, name, *key)
        if isinstance(value, random.Random) or (numpy is not None and isinstance(value, numpy.random.RandomState)):
            value.seed(own)
        elif numpy is not None and isinstance(value, numpy.random.Generator):
            value.bit_generator.state = type(value.bit_generator)(own).state
        elif torch is not None and isinstance(value, torch.Generator):
            value.manual_seed(own)


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
