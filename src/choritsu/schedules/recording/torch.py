"""The recorder for PyTorch. Importing this imports PyTorch."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch

from choritsu.errors import ScheduleError
from choritsu.schedules.recording.comparing import Per, Recorder, checked_per


class TorchRecorder(Recorder):
    """Notes the rates of a PyTorch optimizer's parameter groups at each update; see `Recorder`.

    Args:
        optimizer: is followed until `close`, or the end of a ``with`` block.
        per: with "epoch", call `epoch` after each.
        verbose: 1 to print the rate after each epoch.

    Attributes:
        groups: for each parameter group, what was noted.

    Example:
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> recorder = TorchRecorder(optimizer, per="epoch", verbose=1)
        >>> optimizer.step(), recorder.epoch()
        Epoch 1: learning rate 0.1
        (None, 0.1)
        >>> recorder.close()
    """

    def __init__(self, optimizer: Any = None, *, per: Per = "step", verbose: int = 0) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ScheduleError(
                f"record follows a PyTorch optimizer, got {type(optimizer).__name__}; in Keras give fit the callback "
                "record()"
            )
        self.per = checked_per(per)
        self.verbose = verbose
        self.groups: list[list[float]] = [[] for _ in optimizer.param_groups]
        self._now: list[float] = []
        self._epochs = 0
        self._handle: Any = optimizer.register_step_pre_hook(self._before_step)

    @property
    def rates(self) -> list[float]:
        """The rates of the first parameter group, in order."""
        return self.groups[0]

    def epoch(self) -> float | None:
        """Mark the end of an epoch.

        Returns:
            The rate of its last update, in the first parameter group; None when there was none.
        """
        self._epochs += 1
        if not self._now:
            return None
        if self.per == "epoch":
            self._note()
        if self.verbose:
            print(f"Epoch {self._epochs}: learning rate {', '.join(f'{rate:.6g}' for rate in self._now)}")
        return self._now[0]

    def close(self) -> None:
        """Let go of the optimizer; what was noted stays."""
        self._handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:  # noqa: ARG002  # PyTorch's signature
        self._now = [float(group["lr"]) for group in optimizer.param_groups]
        if self.per == "step":
            self._note()

    def _note(self) -> None:
        # A group that was added since begins here.
        self.groups.extend([] for _ in range(len(self._now) - len(self.groups)))
        for noted, rate in zip(self.groups, self._now, strict=False):
            noted.append(rate)

    def _of_group(self, group: int) -> list[float]:
        if group not in range(len(self.groups)):
            raise ScheduleError(
                f"the optimizer's parameter groups are numbered from 0 to {len(self.groups) - 1}, got group={group!r}"
            )
        return self.groups[group]
