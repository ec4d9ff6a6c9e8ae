"""Letting go of what a trial's model held, without paying for a full collection each time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def tidied() -> Iterator[Callable[[], None]]:
    """Give a function that frees the memory of the trial that has just ended.

    A Keras model refers to itself in circles, so that it lives on until Python's collector runs, which can
    take many trials. A collection walks over every object alive, the frameworks' own million included; these
    are set aside after the first trial, and each later collection takes milliseconds. Nothing is done
    while no framework is imported, and objects that the user has set aside stay so.

    Example:
        >>> with tidied() as tidy:
        ...     tidy()
    """
    aside = False
    # Setting aside is all or nothing: what the user has frozen could not be told from ours afterwards.
    may_set_aside = gc.get_freeze_count() == 0

    def tidy() -> None:
        nonlocal aside
        if "keras" not in sys.modules and "torch" not in sys.modules:
            return
        gc.collect()
        if may_set_aside and not aside:
            gc.freeze()
            aside = True

    try:
        yield tidy
    finally:
        if aside:
            gc.unfreeze()
