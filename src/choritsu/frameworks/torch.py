"""What a plain PyTorch training tells of itself. Importing this imports PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.optim import optimizer as optimizers
from torch.optim.lr_scheduler import LambdaLR

from choritsu.running import RunningTrial
from choritsu.schedules.torch import set_rate
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


def put_back_scheduler(scheduler: Any, state: Mapping[str, Any]) -> None:
    """Put back a scheduler's state, and the rates that it gives at its step.

    The rates in a restored optimizer are those of the schedule that it was saved with, which a promotion may have
    stretched: a `LambdaLR` would use them until its next step.
    """
    scheduler.load_state_dict(state)
    if isinstance(scheduler, LambdaLR):
        rates = [
            base * factor(scheduler.last_epoch)
            for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        ]
        for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
