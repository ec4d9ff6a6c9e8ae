"""PyTorch's `LambdaLR` under its own name, for Keras. Importing this imports Keras."""

from __future__ import annotations

from typing import Any

from choritsu.errors import UnitError
from choritsu.schedules.keras import EpochSchedule
from choritsu.schedules.values import Factor


class LambdaLR(EpochSchedule):
    """A Keras callback that scales the optimizer's own rate by a function of the epoch.

    Args:
        factor: a function of the epoch, from 0, that gives a factor, or a `Factor`.
        base_rate: what it scales; by default the rate that the model was compiled with.
        verbose: 1 to print the rate after each epoch.

    Raises:
        UnitError: for a `Rate`; Keras' `LearningRateScheduler`, and ``rate.to_keras_callback()``, take those.

    Example:
        >>> callback = LambdaLR(lambda epoch: 0.5**epoch)
        >>> callback.shape(2)
        0.25
    """

    def __init__(self, factor: Any, *, base_rate: float | None = None, verbose: int = 0) -> None:
        if isinstance(factor, list | tuple):
            raise UnitError("a Keras optimizer has one learning rate, and takes one factor, not a list of them")
        super().__init__(Factor.from_function(factor).shape, relative=True, base_rate=base_rate, verbose=verbose)
