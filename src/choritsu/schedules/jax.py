"""Schedules as optax wants them: a function of the number of updates done. Importing this imports JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from choritsu.schedules.shapes import Shape
from choritsu.schedules.tensors import looked_up, tabulated


def as_function(shape: Shape, horizon: int | None = None) -> Callable[[Any], Any]:
    """Give a function from the count of updates, an integer or a traced array, to the learning rate.

    Args:
        shape: bound.
        horizon: see `Rate.to_keras`.
    """
    values, holds = tabulated(shape, horizon)

    def learning_rate(count: Any) -> Any:
        table = jnp.asarray(values)
        step = jnp.asarray(count)
        return looked_up(table, len(values), None if holds else shape, step, step.astype(table.dtype), jnp)

    return learning_rate
