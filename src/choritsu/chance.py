"""Chance as an argument: every random number is a pure function of a seed and a key.

No generator is kept alive, so a restart repeats what would have been drawn, parallel workers draw
what a single one would have drawn, and two seeds share nothing.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

Key: TypeAlias = int | str


def _digest(seed: int, key: tuple[Key, ...]) -> int:
    text = "\x1f".join([str(seed), *(f"{type(part).__name__}:{part}" for part in key)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def unit(seed: int, *key: Key) -> float:
    """Draw a number uniformly from [0, 1).

    Args:
        seed: any integer; 0 is a seed like any other.
        key: what the number is for, such as a trial's number and a parameter's name.

    Returns:
        The same float in [0, 1) for the same arguments, on every machine.

    Example:
        >>> unit(5, 0, "units") == unit(5, 0, "units") != unit(6, 0, "units")
        True
    """
    return (_digest(seed, key) >> 11) * 2.0**-53


def derive(seed: int, *key: Key) -> int:
    """Derive an independent seed in [0, 2**32), the range that NumPy, Keras and PyTorch all accept.

    Example:
        >>> derive(0, "training", 3) == derive(0, "training", 3)
        True
    """
    return _digest(seed, key) >> 32
