"""What a plain PyTorch training tells of itself. Importing this imports PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim import optimizer as optimizers

from choritsu.running import RunningTrial
from choritsu.trials import RATE


@contextmanager
def noting_rates(trial: RunningTrial) -> Iterator[None]:
    """Report, with each epoch of a trial, the learning rate of the last update before it.

    It is that of the first parameter group; where several optimizers work, of none.
    """
    last: dict[int, Any] = {}

    def note(optimizer: Any, *_: Any) -> None:
        last[id(optimizer)] = optimizer.param_groups[0]["lr"]

    def observed() -> dict[str, float]:
        rates = list(last.values())
        last.clear()
        return {RATE: float(rates[0])} if len(rates) == 1 else {}

    hook = optimizers.register_optimizer_step_pre_hook(note)
    trial.observe = observed
    try:
        yield
    finally:
        hook.remove()
        trial.observe = dict
