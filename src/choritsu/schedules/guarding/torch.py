"""What the guard sees of PyTorch: schedulers when they are made, optimizers when they are stepped."""

from __future__ import annotations

import functools
import math
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import lr_scheduler as schedulers

from choritsu.schedules.guarding.context import Guard, in_force
from choritsu.schedules.guarding.loops import runs_through
from choritsu.schedules.guarding.traps import (
    FACTOR,
    Past,
    Plan,
    Suspicion,
    against_horizon,
    against_run,
    asked,
    collapsing,
    compounding,
    declared_rate,
    far_points,
    gives_rates,
    is_meant,
    is_ours,
    may_be_squared,
    out_of_order,
    plan_of,
    rates_in,
    restarted,
    squared,
    squared_in_group,
    squared_line,
    two_controllers,
)
from choritsu.schedules.patching import patch, unpatch
from choritsu.schedules.torch import Scheduler
from choritsu.schedules.values import Schedule

#: Those whose constructors do not call the first one's.
_PATCHED = (
    schedulers.LRScheduler,
    schedulers.SequentialLR,
    schedulers.ChainedScheduler,
    schedulers.ReduceLROnPlateau,
)

#: They compute the rate from the step alone, whatever somebody else has made of it.
_OVERWRITING = (
    schedulers.LambdaLR,
    schedulers.OneCycleLR,
    schedulers.CyclicLR,
    schedulers.CosineAnnealingWarmRestarts,
    Scheduler,
)


@dataclass
class _Before:
    """An optimizer as it was before a scheduler was made for it."""

    optimizer: Any
    rates: list[float]
    loaded: bool


def _before(optimizer: Any) -> _Before | None:
    if not isinstance(optimizer, torch.optim.Optimizer):
        return None
    # Only a scheduler writes `initial_lr`; where none has touched this very optimizer, it came out of a checkpoint.
    untouched = bool(optimizer.state) and not hasattr(optimizer.step, "_wrapped_by_lr_sched")
    loaded = untouched and any(group.get("initial_lr", group["lr"]) != group["lr"] for group in optimizer.param_groups)
    return _Before(optimizer, _rates(optimizer), loaded)


def _rates(optimizer: Any) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _bases(optimizer: Any) -> list[float]:
    return [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]


def _made(method: Callable[..., None], scheduler: Any, *args: Any, **kwargs: Any) -> None:
    """Make a scheduler, and show it to the guard in force."""
    guard = in_force()
    watch = None if guard is None else guard.watch(TorchWatch)
    if guard is None or watch is None:
        method(scheduler, *args, **kwargs)
        return
    seen: list[_Before | None] = [None]

    def look_before() -> tuple[()]:
        seen[0] = _before(kwargs.get("optimizer", args[0] if args else None))
        return ()

    guard.run(look_before)
    method(scheduler, *args, **kwargs)
    guard.run(lambda: watch.made(scheduler, seen[0]))


@dataclass
class _Seen:
    """A scheduler that is watched. It is not kept alive."""

    scheduler: weakref.ref[Any]
    name: str
    begun: int
    loaded_before: list[float] | None
    fresh: bool
    skipped: float | None
    plan: Plan | None = None
    first: int = 0
    used: int = 0
    updates: int = 0
    #: No loop around the first update can be left early.
    whole: bool = False


@dataclass(eq=False)
class _Optimizer:
    """An optimizer that is watched: what is looked at when it is stepped. It is not kept alive."""

    guard: Guard
    seen: list[_Seen] = field(default_factory=list)
    top: list[_Seen] | None = None
    together: int = 0
    handle: Any = None

    def before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:  # noqa: ARG002  # PyTorch's signature
        """Note where the schedulers stand; look closer at the first update only."""
        if torch.compiler.is_compiling():
            return
        if self.top is None:
            self.guard.run(lambda: self._first(optimizer))
        elif len(self.top) > 1:
            self.guard.run(self._side_by_side)
        for one in self.top or ():
            scheduler = one.scheduler()
            if scheduler is not None:
                one.used = scheduler.last_epoch
                one.updates += 1
                # The first updates may have been a trial run; looked at ever more seldom.
                if one.whole and one.updates & (one.updates - 1) == 0:
                    one.whole = runs_through(sys._getframe(), self.guard.entered)

    def _first(self, optimizer: Any) -> Iterator[Suspicion]:
        self.top = []
        alive = [(one, scheduler) for one in self.seen if (scheduler := one.scheduler()) is not None]
        inside = {id(part) for _, scheduler in alive for part in _parts(scheduler)}
        self.top = [one for one, scheduler in alive if id(scheduler) not in inside]
        for one, scheduler in alive:
            if one in self.top and not one.updates:
                one.first = one.used = scheduler.last_epoch
                one.plan = _plan(scheduler)
                # One that goes on from a checkpoint may be one of several parts.
                begins = one.plan is not None and one.first == 0 and not optimizer.state
                one.whole = begins and runs_through(sys._getframe(), self.guard.entered)
                yield from _at_first(one, scheduler, optimizer)
                # A part of a sequence may well lead on from a small factor to a smaller one.
                if isinstance(scheduler, schedulers.LinearLR):
                    found = squared_line(
                        _bases(optimizer), scheduler.start_factor, scheduler.end_factor, scheduler.total_iters
                    )
                    yield from [found] if found is not None else []
                yield from _too_short_or_long(one.plan, self.guard)

    def _side_by_side(self) -> Iterator[Suspicion]:
        pairs = [(one, scheduler) for one in self.top or () if (scheduler := one.scheduler()) is not None]
        moved = [(one, scheduler) for one, scheduler in pairs if scheduler.last_epoch > one.used]
        overwriting = next((one for one, scheduler in moved if isinstance(scheduler, _OVERWRITING)), None)
        if len(moved) < 2 or overwriting is None:
            return
        self.together += 1
        if self.together == 2:
            other = next(one for one, _ in moved if one is not overwriting)
            yield two_controllers(
                f"{overwriting.name} and {other.name} step one optimizer side by side: {overwriting.name} computes the "
                f"rate anew at each step, whatever {other.name} has made of it, which does not last so. Join them, as "
                "in rate.then(other, at=...) or rate * factor; or step one only, and then the other, as SequentialLR "
                "does"
            )


def _parts(scheduler: Any) -> Iterator[Any]:
    """Give the schedulers that another one holds, and steps by itself."""
    for value in vars(scheduler).values():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, schedulers.LRScheduler):
                yield item


def _at_first(one: _Seen, scheduler: Any, optimizer: Any) -> Iterator[Suspicion]:
    rates = _rates(optimizer)
    if scheduler.last_epoch == one.begun == 0:
        begins = [float(rate) for rate in getattr(scheduler, "_last_lr", rates)]
        loaded = one.loaded_before
        if one.fresh and optimizer.state and not _close(begins, rates):
            loaded = rates
        if loaded is not None and not _close(loaded, begins):
            yield restarted(one.name, max(loaded), max(begins))
    elif scheduler.last_epoch == one.begun + 1 and not optimizer.state and one.fresh and _stepped(scheduler, optimizer):
        yield out_of_order(one.name, scheduler.last_epoch, one.skipped, max(rates))


def _close(some: list[float], others: list[float]) -> bool:
    return all(math.isclose(one, other, rel_tol=1e-6) for one, other in zip(some, others, strict=False))


def _stepped(scheduler: Any, optimizer: Any) -> bool:
    """Tell whether a scheduler set the rates itself; one that was loaded only says what they were."""
    frame = sys._getframe(1)
    for _ in range(20):
        # A gradient scaler leaves out the first updates, until it has found its scale.
        if frame.f_code.co_filename.endswith("grad_scaler.py"):
            return False
        if frame.f_back is None:
            break
        frame = frame.f_back
    told = getattr(scheduler, "_last_lr", None)
    if not isinstance(told, list) or isinstance(scheduler, schedulers.ReduceLROnPlateau):
        return False
    return all(
        group["lr"] is rate or isinstance(rate, torch.Tensor)
        for group, rate in zip(optimizer.param_groups, told, strict=False)
    )


class TorchWatch:
    """PyTorch's part of a `Guard`.

    Args:
        guard: told what looks wrong.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._optimizers: list[_Optimizer] = []
        self._of: weakref.WeakKeyDictionary[Any, _Optimizer] = weakref.WeakKeyDictionary()

    def look(self, things: list[Any]) -> Iterator[Suspicion]:
        """Look at schedulers that exist already."""
        for thing in things:
            if isinstance(thing, schedulers.LRScheduler):
                yield from self.made(thing, None)

    def install(self) -> None:
        """See every scheduler that is made, and follow those that were given."""
        for owner in _PATCHED:
            patch(owner, "__init__", _made)
        for optimizer, record in self._of.items():
            record.handle = optimizer.register_step_pre_hook(record.before_step)

    def remove(self) -> None:
        """Give PyTorch's classes their constructors back."""
        for owner in _PATCHED:
            unpatch(owner, "__init__")
        for record in self._optimizers:
            if record.handle is not None:
                record.handle.remove()

    def end(self) -> Iterator[Suspicion]:
        """Compare each schedule's length with that of the training."""
        for record in self._optimizers:
            for one in record.top or ():
                if one.plan is not None and self._guard.hints.horizon is None:
                    found = against_run(one.plan, one.used, one.used - one.first, one.updates, whole=one.whole)
                    if found is not None:
                        yield found

    def made(self, scheduler: Any, before: _Before | None) -> Iterator[Suspicion]:
        """Look at a scheduler, and follow its optimizer.

        Args:
            scheduler: made by now.
            before: its optimizer before that; None for a scheduler that existed already.
        """
        optimizer = scheduler.optimizer
        record = self._of.get(optimizer)
        if record is None:
            record = _Optimizer(self._guard)
            self._of[optimizer] = record
            self._optimizers.append(record)
            if in_force() is self._guard:
                record.handle = optimizer.register_step_pre_hook(record.before_step)
        if any(one.scheduler() is scheduler for one in record.seen):
            return
        fresh = before is not None and not optimizer.state
        skipped = max(_rates(optimizer)) if before is not None else None
        # These two have written `initial_lr` by now themselves.
        own = isinstance(scheduler, schedulers.OneCycleLR | schedulers.CyclicLR)
        loaded = before.rates if before is not None and before.loaded and not own else None
        name = _name(scheduler)
        record.seen.append(_Seen(weakref.ref(scheduler), name, scheduler.last_epoch, loaded, fresh, skipped))
        record.top = None
        yield from _values(scheduler, name, optimizer, before, self._guard.hints.horizon)
        if before is None:
            # Of one that is just made it is not known yet whether it becomes a part of another.
            yield from _too_short_or_long(_plan(scheduler), self._guard)


# -- what the functions give -----------------------------------------------------------------------


def _name(scheduler: Any) -> str:
    """Give the name under which the user knows a scheduler."""
    if type(scheduler) is not Scheduler:
        return type(scheduler).__name__
    kinds = {"factor" if relative else "rate" for relative in scheduler.relative}
    return f"{kinds.pop()}.to_torch(...)" if len(kinds) == 1 else "to_torch(...)"


def _values(
    scheduler: Any, name: str, optimizer: Any, before: _Before | None, horizon: float | None
) -> Iterator[Suspicion]:
    if isinstance(scheduler, schedulers.LambdaLR | schedulers.MultiplicativeLR):
        functions, relative = list(scheduler.lr_lambdas), [True] * len(scheduler.lr_lambdas)
    elif isinstance(scheduler, Scheduler):
        many = len(optimizer.param_groups) if scheduler.shared else 1
        functions, relative = scheduler.shapes * many, scheduler.relative * many
    else:
        return
    if any(is_meant(function) for function in functions):
        return
    found: Suspicion | None = None
    if isinstance(scheduler, schedulers.MultiplicativeLR):
        found = _multiplied(list(dict.fromkeys(functions)), max(_bases(optimizer)), name)
    else:
        found = _scaled(scheduler, functions, relative, name, horizon)
        if found is None and scheduler.last_epoch == 0:
            # What the rates were before a scheduler was made, it has written down itself.
            found = _set(functions, relative, name, optimizer, _bases(optimizer) if before is None else before.rates)
    if found is not None:
        yield found


def _set(
    functions: list[Any], relative: list[bool], name: str, optimizer: Any, before: list[float]
) -> Suspicion | None:
    kind, compiled = type(optimizer).__name__, max(before)
    firsts = {
        shape: now for shape, scales, now in zip(functions, relative, _rates(optimizer), strict=True) if not scales
    }
    told = (
        declared_rate(kind, compiled, shape, first=now, name=name, to="to_torch(optimizer)")
        for shape, now in firsts.items()
    )
    return next((found for found in told if found is not None), None)


def _scaled(
    scheduler: Any, functions: list[Any], relative: list[bool], name: str, horizon: float | None
) -> Suspicion | None:
    groups = scheduler.optimizer.param_groups
    bases = _bases(scheduler.optimizer)
    # PyTorch has asked for the first already.
    firsts = [
        float(group["lr"]) / base if base and scheduler.last_epoch == 0 else 0.0
        for group, base in zip(groups, bases, strict=True)
    ]
    scaled = [index for index, scales in enumerate(relative) if scales]
    small = [
        index
        for index in scaled
        if may_be_squared(bases[index], firsts[index]) or (firsts[index] < FACTOR and rates_in(functions[index]))
    ]
    asked_ones = dict.fromkeys(functions[index] for index in small)
    given = {function: asked(function, [0, *far_points(horizon)]) for function in asked_ones}
    told = {function: values for function, values in given.items() if len(values) > 1}
    base = max(bases)
    if told and all(functions[index] in told for index in scaled) and len(scaled) == len(bases):
        certain = all(gives_rates(function, values) for function, values in told.items())
        # Sorted, so that a rise at the end is seen as one.
        points = sorted(point for values in told.values() for point in values)
        ours = all(map(is_ours, told))
        return squared(
            base, points, name=name, to="to_torch(optimizer)", function=not ours, certain=certain, groups=bases
        )
    pairs = ((index, functions[index]) for index in small if functions[index] in told)
    found = (
        squared_in_group(bases[index], told[function], index, name=name, function=not is_ours(function))
        for index, function in pairs
    )
    return next((item for item in found if item is not None), None)


def _multiplied(functions: list[Any], base: float, name: str) -> Suspicion | None:
    for function in functions:
        given = [point for step in range(4) for point in asked(function, [step])]
        if len(given) < 4:
            return None
        certain = gives_rates(function, given)
        found = collapsing(base, given[1:], name=name, certain=certain)
        found = found or compounding(base, [value for _, value in given], name=name)
        if found is not None:
            return found
    return None


# -- lengths ---------------------------------------------------------------------------------------


def _too_short_or_long(plan: Plan | None, guard: Guard) -> Iterator[Suspicion]:
    hints = guard.hints
    if plan is not None and hints.horizon is not None:
        found = against_horizon(plan, hints.horizon, hints.steps_per_epoch)
        if found is not None:
            yield found


def _plan(scheduler: Any) -> Plan | None:
    """Read how long a scheduler was made to be; None where it has no length, or cannot be read."""
    name = type(scheduler).__name__
    match scheduler:
        case Scheduler():
            return plan_of(scheduler.shapes[0])
        case schedulers.CosineAnnealingLR():
            return Plan(name, scheduler.T_max, "rises", setting="T_max={}")
        case schedulers.OneCycleLR():
            rise = float(scheduler._schedule_phases[0]["end_step"])
            return Plan(name, scheduler.total_steps, "error", rise, "total_steps={}")
        case schedulers.PolynomialLR():
            return Plan(name, scheduler.total_iters, "nothing", setting="total_iters={}")
        case schedulers.LinearLR():
            rise = scheduler.total_iters if scheduler.end_factor > scheduler.start_factor else 0
            past: Past = "nothing" if scheduler.end_factor == 0 else "holds"
            return Plan(name, scheduler.total_iters, past, rise, "total_iters={}") if rise or past != "holds" else None
        case schedulers.MultiStepLR():
            milestones = sorted(scheduler.milestones)
            return Plan(name, milestones[-1], "holds", drops=True) if len(milestones) > 1 else None
        case schedulers.SequentialLR():
            return _of_sequence(scheduler)
        case schedulers.LambdaLR():
            function = scheduler.lr_lambdas[0]
            return plan_of(function.shape) if isinstance(function, Schedule) else _of_function(function)
    return None


def _of_sequence(scheduler: Any) -> Plan | None:
    parts, milestones = scheduler._schedulers, scheduler._milestones
    if not milestones:
        return None
    first, last = _plan(parts[0]), _plan(parts[-1])
    rise = milestones[0] if first is not None and first.warmup else 0
    if last is None or last.drops:
        return Plan("SequentialLR", milestones[-1], "holds", rise) if rise else None
    return Plan("SequentialLR", milestones[-1] + last.length, last.past, rise, "milestones and lengths that end at {}")


def _of_function(function: Any) -> Plan | None:
    """Read the lengths that a partial function was given, as the schedules of transformers are."""
    if not isinstance(function, functools.partial):
        return None
    length = function.keywords.get("num_training_steps")
    rise = function.keywords.get("num_warmup_steps") or 0
    if not isinstance(length, int | float) or not isinstance(rise, int | float) or not length > rise:
        return None
    name = getattr(function.func, "__name__", "the schedule").strip("_").removesuffix("_lr_lambda")
    ends: dict[str, Past] = {"get_linear_schedule_with_warmup": "nothing", "get_cosine_schedule_with_warmup": "rises"}
    past = ends.get(name, "holds")
    return Plan(name, length, past, rise, "num_training_steps={}")
