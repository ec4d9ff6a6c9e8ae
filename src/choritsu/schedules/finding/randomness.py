"""Random numbers given back: what is drawn inside is not missed outside."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def randomness_kept() -> Iterator[None]:
    """Leave the generators of Python, NumPy, and the imported ones of PyTorch and Keras as they were found.

    Example:
        >>> state = random.getstate()
        >>> with randomness_kept():
        ...     _ = random.random()
        >>> random.getstate() == state
        True
    """
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        if "numpy" in sys.modules:
            numpy = sys.modules["numpy"]
            stack.callback(numpy.random.set_state, numpy.random.get_state())
        if "torch" in sys.modules:
            for setter, state in _torch_states(sys.modules["torch"]):
                stack.callback(setter, state)
        if "keras" in sys.modules:
            stack.callback(_keras_restorer())
        yield


def draw_from(seed: int) -> None:
    """Seed the same generators, Keras' aside: its layers carry their own.

    Args:
        seed: in [0, 2**32).
    """
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        # Not torch.manual_seed, which would seed devices that nobody has used yet, once somebody does.
        torch.default_generator.manual_seed(seed)
        for device in _devices(torch):
            (device.manual_seed_all if hasattr(device, "manual_seed_all") else device.manual_seed)(seed)


def generators_of(data: Any) -> list[Any]:
    """Find the generators that a PyTorch DataLoader shuffles with, if it has any of its own.

    Args:
        data: anything.
    """
    holders = [data, getattr(data, "sampler", None), getattr(data, "batch_sampler", None)]
    holders.append(getattr(holders[-1], "sampler", None))
    found = {id(one): one for holder in holders if (one := getattr(holder, "generator", None)) is not None}
    return [one for one in found.values() if hasattr(one, "get_state") and hasattr(one, "manual_seed")]


def _devices(torch: Any) -> list[Any]:
    """Give the modules of accelerators in use; asking an idle one for its state would start it."""
    found = [getattr(torch, name, None) for name in ("cuda", "xpu")]
    used = [one for one in found if one is not None and one.is_available() and one.is_initialized()]
    return [*used, torch.mps] if torch.backends.mps.is_available() else used


def _torch_states(torch: Any) -> list[tuple[Callable[[Any], None], Any]]:
    states = [(torch.set_rng_state, torch.get_rng_state())]
    for device in _devices(torch):
        if hasattr(device, "get_rng_state_all"):
            states.append((device.set_rng_state_all, device.get_rng_state_all()))
        else:
            states.append((device.set_rng_state, device.get_rng_state()))
    return states


def _keras_restorer() -> Callable[[], None]:
    """Keep Keras' global generator, which unseeded random operations share; there is no public way to it."""
    try:
        from keras.src.backend.common import global_state
        from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
    except ImportError:
        return lambda: None
    generator = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    state = None if generator is None else sys.modules["keras"].ops.convert_to_numpy(generator.state).copy()

    def restore() -> None:
        if generator is not None:
            generator.state.assign(state)
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, generator)

    return restore
