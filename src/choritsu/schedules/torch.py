"""Schedules as PyTorch wants them: a scheduler that is stepped. Importing this imports PyTorch."""

from __future__ import annotations

import gc
import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from choritsu.errors import ScheduleError, ScheduleWarning
from choritsu.schedules.coding import encoded, phrase
from choritsu.schedules.shapes import Function, Shape, everything_in


class Scheduler(LRScheduler):  # type: ignore[misc]  # PyTorch is not checked here
    """Sets the rates of an optimizer's parameter groups from schedules; `Rate.to_torch` and `Factor.to_torch` make it.

    The rate after n calls of `step` is the schedule's value at n, computed anew each time: nothing accumulates, and a
    scheduler that was loaded goes on as if it had never stopped, whichever of optimizer and scheduler is loaded first.

    Factors that look like rates are warned of as it is made; ``with guard(allow=["squared_rate"])`` says that they are
    meant.

    Args:
        optimizer: to be scheduled.
        shapes: one for all parameter groups, or one for each.
        relative: whether they scale each group's own rate, or replace it; one word for all, or one for each.
        replace: let go of another scheduler that the optimizer has.

    Raises:
        ScheduleError: when the optimizer has a scheduler already, or the number of shapes is not that of the groups.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        shapes: Shape | Sequence[Shape],
        *,
        relative: bool | Sequence[bool],
        replace: bool = False,
    ) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ScheduleError(
                f"to_torch takes a torch optimizer, got {type(optimizer).__name__}; in Keras write to_keras()"
            )
        if not replace and (other := _scheduler_of(optimizer)) is not None:
            raise ScheduleError(
                f"the optimizer has a scheduler already, a {type(other).__name__}, and two would overwrite each "
                "other's rates; join the schedules first: a.then(b, at=...) or rate * factor. To let go of the old "
                "one, or to put both into a SequentialLR: replace=True"
            )
        groups = len(optimizer.param_groups)
        self.shapes = list(shapes) if isinstance(shapes, Sequence) else [shapes]
        self.relative = list(relative) if isinstance(relative, Sequence) else [relative] * len(self.shapes)
        self.shared = not isinstance(shapes, Sequence)
        if not self.shared and len(self.shapes) != groups:
            raise ScheduleError(
                f"the optimizer has {groups} parameter groups, and there are {len(self.shapes)} schedules"
            )
        self._warned = False
        super().__init__(optimizer)
        functions = [node for shape in self.shapes for node in everything_in(shape) if isinstance(node, Function)]
        if any(self.relative) or functions:
            from choritsu.schedules.guarding.guard import look_without_guard

            look_without_guard(self)

    def tell_of_flattened(self) -> None:
        """Warn where one rate for all takes the place of different ones."""
        own = list(dict.fromkeys(map(as_float, self._bases())))
        if len(own) > 1:
            warnings.warn(
                f"the optimizer's parameter groups have rates of their own ({', '.join(f'{rate:g}' for rate in own)}), "
                "and this schedule sets the same rate for all. To scale each group's own, make it a factor: "
                f"(rate / {own[0]:g}).to_torch(optimizer); to set each, ct.to_torch(optimizer, [rate, other_rate])",
                ScheduleWarning,
                stacklevel=3,
            )

    def _initial_step(self) -> None:
        # SequentialLR has put the rates back, and begins anew.
        self.__dict__.pop("_last_lr", None)
        super()._initial_step()

    def get_lr(self) -> list[float | torch.Tensor]:
        """Compute each group's rate at the present step."""
        groups = self.optimizer.param_groups
        if not self.shared and len(groups) != len(self.shapes):
            raise ScheduleError(
                f"the optimizer has {len(groups)} parameter groups by now, and there are {len(self.shapes)} schedules"
            )
        for group in groups:
            # A group that was added since brings its own base rate.
            group.setdefault("initial_lr", as_float(group["lr"]))
        return [self._rate(0 if self.shared else index, group) for index, group in enumerate(groups)]

    def _rate(self, index: int, group: dict[str, Any]) -> float:
        value = self._checked(self.shapes[index](self.last_epoch))
        return as_float(group["initial_lr"]) * value if self.relative[index] else value

    def asks_for_the_rate(self, shape: Shape) -> bool:  # noqa: ARG002  # what a subclass may need
        """Tell whether the rate depends on more than the step."""
        return False

    def _checked(self, given: Any) -> float:
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value < math.inf:
            raise ScheduleError(
                f"the schedule gives {given!r} at step {self.last_epoch}; it must be a finite number, at least 0"
            )
        return value

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next step, after ``optimizer.step()``.

        Args:
            epoch: go to this step instead.
        """
        if epoch is not None:
            self.last_epoch = epoch - 1
        self._notice_others()
        super().step()

    def _notice_others(self) -> None:
        found = [as_float(group["lr"]) for group in self.optimizer.param_groups]
        ours = [as_float(rate) for rate in getattr(self, "_last_lr", found)]
        changed = [pair for pair in zip(found, ours, strict=False) if not math.isclose(*pair, rel_tol=1e-6)]
        if changed and not self._warned:
            self._warned = True
            was, set_to = changed[0]
            warnings.warn(
                f"the optimizer's learning rate is {was:.6g}, and this scheduler had set it to {set_to:.6g}: another "
                "scheduler, your own code or a loaded checkpoint has changed it, and it is set anew now. After loading "
                "an optimizer, load its scheduler too: scheduler.load_state_dict(...)",
                ScheduleWarning,
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """Give what is needed to go on: the step, the base rates, and the schedules, to compare them."""
        return {
            "last_epoch": self.last_epoch,
            "base_lrs": [as_float(rate) for rate in self._bases()],
            "_last_lr": [as_float(rate) for rate in self._last_lr],
            "_step_count": self._step_count,
            "schedules": [_described(shape) for shape in self.shapes],
        }

    def _bases(self) -> list[Any]:
        return [group["initial_lr"] for group in self.optimizer.param_groups]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; the optimizer's rates are set at once.

        Args:
            state_dict: from `state_dict`, or from one of torch's own schedulers stepped as often.

        Raises:
            ScheduleError: when it is the state of something else.
        """
        if not isinstance(state_dict.get("last_epoch"), int):
            raise ScheduleError(
                f"this is no scheduler's state: it holds {', '.join(map(str, state_dict)) or 'nothing'}"
            )
        known = [_described(shape) for shape in self.shapes]
        if state_dict.get("schedules", known) != known:
            warnings.warn(
                f"the scheduler was saved with another schedule, and goes on at step {state_dict['last_epoch']} of "
                f"{', '.join(phrase(shape) for shape in self.shapes)}",
                ScheduleWarning,
                stacklevel=2,
            )
        self.last_epoch = state_dict["last_epoch"]
        self._step_count = state_dict.get("_step_count", self.last_epoch + 1)
        for group, base in zip(self.optimizer.param_groups, state_dict.get("base_lrs", ()), strict=False):
            group["initial_lr"] = base
        self.base_lrs = self._bases()
        self._apply(state_dict)

    def _apply(self, state_dict: dict[str, Any]) -> None:  # noqa: ARG002  # what a subclass may need
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            set_rate(group, as_float(rate))
        self._last_lr = [as_float(group["lr"]) for group in self.optimizer.param_groups]


def _scheduler_of(optimizer: torch.optim.Optimizer) -> Any:
    """Find a scheduler that sets an optimizer's rates and is in use.

    Its mark on the optimizer outlives it, and is left by one that raised an error while it was made.
    """
    if not hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return None
    for thing in gc.get_objects():
        # Nothing is asked of strangers' objects, which may compute what they are asked for.
        if issubclass(type(thing), LRScheduler) and not issubclass(type(thing), ReduceLROnPlateau):
            known = vars(thing)
            if known.get("optimizer") is optimizer and "_last_lr" in known:
                return thing
    return None


def _described(shape: Shape) -> Any:
    # A function is code: of two, it cannot be said whether they are the same.
    return None if any(isinstance(node, Function) for node in everything_in(shape)) else encoded(shape)


def as_float(rate: Any) -> float:
    """Read a rate that may be a tensor."""
    return float(rate)


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set a group's rate, in place where it is a tensor that compiled programs hold."""
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
