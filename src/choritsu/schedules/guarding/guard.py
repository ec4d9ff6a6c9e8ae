"""The guard: it watches the learning rate of a training, and warns where it is hardly the one that was meant.

It knows PyTorch's schedulers and Keras' callbacks, people's own among them, as far as they are imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from choritsu.errors import ScheduleError
from choritsu.schedules.guarding.context import Guard, Hints, Watch, in_force
from choritsu.schedules.guarding.traps import Suspicion, squared_product, traps
from choritsu.schedules.values import Factor, Rate


def guard(
    *things: Any, horizon: float | None = None, steps_per_epoch: float | None = None, allow: Iterable[str] = ()
) -> Guard:
    """Warn where a learning rate is hardly the one that was meant.

    Given things, looks at them at once. As a context, watches all that is made and trained in its block, in its thread,
    with the frameworks that are imported when it begins; at its end, PyTorch and Keras are as they were. Each finding
    is a `ScheduleWarning` with the numbers and the line to write. The guard itself raises nothing.

    A function given to `LambdaLR` or `MultiplicativeLR` that begins small may be called at up to ten steps more than
    training calls it; one that begins at 0.5 or above is not. Objects with values of their own are copied first. So may
    one in a `Factor` that becomes a rate, and one in a `Rate` that does not begin as rates do.

    Args:
        things: PyTorch schedulers, or Keras callbacks and models; also in tuples.
        horizon: how often the scheduler is to be stepped in all, where known.
        steps_per_epoch: how many updates an epoch has, where known.
        allow: names of traps to be silent about, such as "squared_rate"; see `Trap`. For a single function, mark it
            with `meant`; for a whole program, ``warnings.filterwarnings("ignore", category=ScheduleWarning)``.

    Returns:
        The context; its `suspicions` hold what was found.

    Raises:
        ScheduleError: for a length that is none, and a trap that is not known.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-3)
        >>> with guard(allow=["squared_rate"]) as watch:
        ...     scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1e-3 * 0.5**epoch)
        >>> watch.suspicions
        []
    """
    for name, value in (("horizon", horizon), ("steps_per_epoch", steps_per_epoch)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise ScheduleError(f"{name} must be a positive number, got {value!r}")
    made = Guard(Hints(horizon, steps_per_epoch), traps(allow), _watches)
    if things:
        made.look(_flat(things))
    return made


def look_without_guard(*things: Any) -> None:
    """Look at what scales an optimizer's own rate from now on, where no guard is in force to see it by itself.

    Args:
        things: as for `guard`.
    """
    if in_force() is None:
        guard(*things)


def look_at_product(base: float | Rate, factor: Factor) -> None:
    """Look at a factor that becomes a rate.

    Args:
        base: what it is multiplied by.
        factor: may be as small as a rate.
    """

    def look() -> list[Suspicion]:
        found = squared_product(base, factor)
        return [] if found is None else [found]

    (in_force() or Guard(Hints(), frozenset(), lambda _: [])).run(look)


def _flat(things: Iterable[Any]) -> list[Any]:
    flat: list[Any] = []
    for thing in things:
        flat.extend(_flat(thing) if isinstance(thing, list | tuple) else [thing])
    return flat


def _watches(guard: Guard) -> list[Watch]:
    """Give a watch for each framework that is imported by now."""
    watches: list[Watch] = []
    if "torch" in sys.modules:
        from choritsu.schedules.guarding.torch import TorchWatch

        watches.append(TorchWatch(guard))
    if "keras" in sys.modules:
        from choritsu.schedules.guarding.keras import KerasWatch

        watches.append(KerasWatch(guard))
    return watches
