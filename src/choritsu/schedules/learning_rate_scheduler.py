"""Keras' `LearningRateScheduler` under its own name, for PyTorch. Importing this imports PyTorch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from choritsu.schedules.shapes import Function, Shape
from choritsu.schedules.torch import Scheduler, as_float, set_rate
from choritsu.schedules.values import Rate

if TYPE_CHECKING:
    import torch


class LearningRateScheduler(Scheduler):
    """Keras' `LearningRateScheduler` for PyTorch: sets the rate itself, from a function of the epoch.

    Args:
        optimizer: whatever rate it was given is replaced.
        schedule: a function of the epoch, from 0, that gives the learning rate, or of the epoch and the rate in force;
            a `Rate`; or a list of them, one for each parameter group.
        replace: let go of another scheduler that the optimizer has.

    Raises:
        UnitError: for a `Factor`; torch's `LambdaLR`, and ``factor.to_torch(optimizer)``, take those.
        ScheduleError: for anything else.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
        >>> scheduler = LearningRateScheduler(optimizer, lambda epoch: 1e-3 * 0.5**epoch)
        >>> optimizer.step(), scheduler.step(), scheduler.get_last_lr()
        (None, None, [0.0005])
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Any, *, replace: bool = False) -> None:
        listed = isinstance(schedule, Sequence)
        shapes = [Rate.from_function(item).shape for item in (schedule if listed else [schedule])]
        super().__init__(optimizer, shapes if listed else shapes[0], relative=False, replace=replace)

    def _rate(self, index: int, group: dict[str, Any]) -> float:
        shape: Any = self.shapes[index]
        if self.asks_for_the_rate(shape):
            return self._checked(shape.function(self.last_epoch, as_float(group["lr"])))
        return super()._rate(index, group)

    def asks_for_the_rate(self, shape: Shape) -> bool:
        """Tell whether the rate depends on more than the step."""
        return isinstance(shape, Function) and takes_rate(shape.function)

    def _apply(self, state_dict: dict[str, Any]) -> None:
        # A function of the rate in force cannot be asked again for where it stood.
        for group, rate in zip(self.optimizer.param_groups, state_dict["_last_lr"], strict=True):
            set_rate(group, as_float(rate))
        self._last_lr = list(state_dict["_last_lr"])


def takes_rate(function: Callable[..., Any]) -> bool:
    """Tell whether a function's second argument is the rate in force: it is required, or is called so.

    Example:
        >>> takes_rate(lambda epoch, lr: lr), takes_rate(lambda epoch, warmup=5: 0.1)
        (True, False)
    """
    try:
        parameters = [
            item
            for item in inspect.signature(function).parameters.values()
            if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return False
    if len(parameters) < 2:
        return False
    second = parameters[1]
    return second.default is second.empty or "lr" in second.name.split("_") or "rate" in second.name
