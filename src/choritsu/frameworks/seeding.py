"""One seed for all the random numbers that a training may draw."""

from __future__ import annotations

import random
import sys


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, and whichever of PyTorch and Keras has been imported.

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
    np.random.seed(seed)  # the global generator is what most training code draws from
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(seed)
