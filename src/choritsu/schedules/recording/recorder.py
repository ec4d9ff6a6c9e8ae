"""Noting the learning rate that an optimizer really used."""

from __future__ import annotations

import sys
from typing import Any

from choritsu.errors import ScheduleError
from choritsu.schedules.recording.comparing import Per, Recorder


def record(optimizer: Any = None, *, per: Per | None = None, verbose: int = 0) -> Any:
    """Notes the learning rate of each update or epoch, in Keras or in PyTorch.

    ``record(optimizer)`` follows a PyTorch optimizer; ``record()`` is a Keras callback.

    Args:
        optimizer: of PyTorch; for Keras none, since the callback finds its model's.
        per: note the rate of each "step", an update of the optimizer, or of each "epoch", that of its last update.
            By default what the rate goes on with: each step in PyTorch, and in Keras where the optimizer follows a
            schedule, ``Adam(rate.to_keras())``; else, in Keras, each epoch.
        verbose: 1 to print the rate after each epoch.

    Returns:
        A recorder. Its `rates` are what was noted, in order, of the first parameter group; `compare` holds them against
        a schedule.

    Raises:
        ScheduleError: when `per` is something else, or the optimizer is not PyTorch's.

    Example:
        >>> import torch
        >>> from choritsu.schedules import linear
        >>> rate = 0.1 * linear(1.0, 0.0, steps=2)
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> scheduler = rate.to_torch(optimizer)
        >>> with record(optimizer) as recorder:
        ...     for _ in range(2):
        ...         optimizer.step()
        ...         scheduler.step()
        >>> recorder.rates
        [0.1, 0.05]
        >>> recorder.compare(rate)
        equal in all 2 steps
    """
    options: dict[str, Any] = {"verbose": verbose} if per is None else {"verbose": verbose, "per": per}
    recorder: Recorder
    if optimizer is None:
        from choritsu.schedules.recording.keras import KerasRecorder

        recorder = KerasRecorder(**options)
        return recorder
    if "torch" not in sys.modules:
        raise ScheduleError(
            f"record follows a PyTorch optimizer, got {type(optimizer).__name__}; in Keras give fit the callback "
            "record()"
        )
    from choritsu.schedules.recording.torch import TorchRecorder

    recorder = TorchRecorder(optimizer, **options)
    return recorder
