"""A schedule for each parameter group of a PyTorch optimizer. Importing this imports PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from choritsu.errors import ScheduleError
from choritsu.schedules.torch import Scheduler
from choritsu.schedules.values import Rate, Schedule


def to_torch(
    optimizer: Any,
    schedules: Sequence[Schedule],
    *,
    steps_per_epoch: float | None = None,
    horizon: float | None = None,
    replace: bool = False,
) -> Scheduler:
    """Make a scheduler that gives each parameter group a schedule of its own.

    Args:
        optimizer: with as many parameter groups.
        schedules: in the groups' order; a `Rate` sets its group's rate, a `Factor` scales the group's own.
        steps_per_epoch: see `Rate.to_torch`.
        horizon: likewise.
        replace: likewise.

    Raises:
        ScheduleError: when they are not as many as the groups, or the optimizer has a scheduler already.

    Example:
        >>> import torch
        >>> from choritsu.schedules import Factor
        >>> groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in (0.1, 0.01)]
        >>> factors = Factor.from_function([lambda epoch: 0.5**epoch, lambda epoch: 1.0])
        >>> to_torch(torch.optim.SGD(groups), [*factors]).get_last_lr()
        [0.1, 0.01]
    """
    listed = list(schedules)
    strangers = [item for item in listed if not isinstance(item, Schedule)]
    if strangers:
        raise ScheduleError(
            f"each parameter group takes a Rate or a Factor, got {strangers[0]!r}; make one of a function by "
            "Factor.from_function(f), which scales the group's own rate, or Rate.from_function(f), which sets it"
        )
    bound = [item._stepped(steps_per_epoch, horizon) for item in listed]
    relative = [not isinstance(item, Rate) for item in bound]
    return Scheduler(optimizer, [item.shape for item in bound], relative=relative, replace=replace)
