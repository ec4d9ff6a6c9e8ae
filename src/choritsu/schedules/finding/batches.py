"""Batches without end, in an order that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from choritsu.errors import ScheduleError


def batches_of(data: Any, targets: Any, batch_size: int, seed: int) -> Iterator[Any]:
    """Give batches for ever, pass after pass over the data.

    Args:
        data: arrays or tensors, alone or in a list, tuple or dict, cut into batches here; or, without targets, what
            yields batches each time it is iterated, such as a DataLoader.
        targets: arrays likewise; a tuple (targets, sample weights) too.
        batch_size: how many samples a batch of arrays has; those left over at the end of a pass are left out.
        seed: decides the order of arrays; what yields batches has an order of its own.

    Yields:
        ``(data, targets)`` of arrays; else what the data yield.

    Raises:
        ScheduleError: when there are no batches, or they could not be asked for again.

    Example:
        >>> import numpy as np
        >>> x, y = next(batches_of(np.arange(10), 2 * np.arange(10), 4, seed=0))
        >>> len(x), bool((2 * x == y).all())
        (4, True)
    """
    if targets is None and not is_whole(data):
        yield from _asked_again(data)
    count = _samples(data, targets)
    size, shuffled = min(batch_size, count), random.Random(seed)
    while True:
        order = list(range(count))
        shuffled.shuffle(order)
        for begin in range(0, count - size + 1, size):
            places = order[begin : begin + size]
            yield _taken(data, places), None if targets is None else _taken(targets, places)


def _asked_again(data: Any) -> Iterator[Any]:
    if iter(data) is data:
        raise ScheduleError(
            f"{type(data).__name__} can be iterated once only, and what is drawn from it cannot be given back; "
            "give arrays, or something that begins again, such as a DataLoader or a PyDataset"
        )
    while True:
        batch = _Nothing
        for batch in data:
            yield batch
        if batch is _Nothing:
            raise ScheduleError(f"{type(data).__name__} yields no batches")


class _Nothing:
    """Stands for a batch that did not come."""


def is_whole(data: Any) -> bool:
    """Tell arrays, which are cut into batches here, from what yields batches; a list of batches does the latter.

    Example:
        >>> is_whole([1, 2]), is_whole(())
        (False, False)
    """
    if isinstance(data, Mapping):
        return bool(data) and all(map(is_whole, data.values()))
    if isinstance(data, tuple):
        return bool(data) and all(map(is_whole, data))
    return hasattr(data, "shape") and hasattr(data, "__getitem__")


def leaves(thing: Any) -> list[Any]:
    """Give the arrays of a list, tuple or dict of them, at any depth, without the missing ones."""
    if isinstance(thing, Mapping):
        return [leaf for one in thing.values() for leaf in leaves(one)]
    if isinstance(thing, list | tuple):
        return [leaf for one in thing for leaf in leaves(one)]
    return [] if thing is None else [thing]


def mapped(thing: Any, change: Callable[[Any], Any]) -> Any:
    """Change each array of a list, tuple or dict of them."""
    if isinstance(thing, Mapping):
        return {name: mapped(one, change) for name, one in thing.items()}
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing)(*(mapped(one, change) for one in thing))
    if isinstance(thing, list | tuple):
        return type(thing)(mapped(one, change) for one in thing)
    return None if thing is None else change(thing)


def _taken(thing: Any, places: list[int]) -> Any:
    import numpy as np

    chosen = np.asarray(places)
    # JAX takes no list for an index, and a DataFrame's brackets choose columns.
    return mapped(thing, lambda array: (array.iloc if hasattr(array, "iloc") else array)[chosen])


def _samples(data: Any, targets: Any) -> int:
    arrays = [*leaves(data), *leaves(targets)]
    for array in arrays:
        if not is_whole(array):
            raise ScheduleError(
                f"arrays or tensors are wanted where targets are given, got {type(array).__name__}; a DataLoader or a "
                "data set is given alone"
            )
    counts = {int(array.shape[0]) for array in arrays}
    if len(counts) != 1 or 0 in counts:
        raise ScheduleError(f"all arrays need the same number of samples, got {', '.join(map(str, sorted(counts)))}")
    return counts.pop()
