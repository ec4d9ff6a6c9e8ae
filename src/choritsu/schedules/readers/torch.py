"""PyTorch's schedulers, read as values."""

from __future__ import annotations

import itertools
import math
from typing import Any, TypeAlias, cast

from choritsu.errors import ScheduleError
from choritsu.schedules.readers.checks import agreed, whole
from choritsu.schedules.shapes import Scale
from choritsu.schedules.values import Factor, Rate

_Either: TypeAlias = Factor | Rate
_Read: TypeAlias = Factor | Rate | tuple[Factor, ...] | tuple[Rate, ...]

#: Each step of these multiplies the optimizer's rate by something, whoever else changes it.
_MULTIPLYING = "StepLR MultiStepLR ConstantLR LinearLR ExponentialLR PolynomialLR".split()


#: Where our own schedulers are made.
_OURS = ("choritsu.schedules.torch", "choritsu.schedules.learning_rate_scheduler")


def from_torch(scheduler: Any) -> _Read:
    """Read a scheduler of ``torch.optim.lr_scheduler``.

    A scheduler that multiplies the optimizer's rate is a `Factor`. One that sets rates of its own is a `Rate`:
    ``CyclicLR``, ``OneCycleLR``, the two cosines with an `eta_min` that is not 0, and a ``SequentialLR`` with one of
    these in it. ``LambdaLR`` keeps its functions, see `Factor.from_function`.

    Steps are those of ``scheduler.step()``, counted from the beginning of the training, wherever it stands now. After
    the last step of ``OneCycleLR`` its last rate is held, where PyTorch gives one more, of no meaning, and then raises
    an error. The momentum that ``CyclicLR`` and ``OneCycleLR`` change as well is not read.

    Of `Rate.to_torch`, `Factor.to_torch` and our `LearningRateScheduler` the schedule comes back as it was.

    Args:
        scheduler: as its constructor made it; its optimizer is not changed.

    Returns:
        What all parameter groups have in common, or a tuple with one schedule for each group where they differ.

    Raises:
        ScheduleError: when the rate depends on more than the step (``ReduceLROnPlateau``), when what PyTorch does is no
            product of its parts (some of ``ChainedScheduler``, ``MultiplicativeLR``), for classes of your own, and when
            the optimizer has another rate now than the scheduler gives.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
        >>> from_torch(torch.optim.lr_scheduler.StepLR(optimizer, step_size=30))
        Factor(exponential(1, 0.1, every=30, staircase=True))
    """
    name, read = _name(scheduler), _groups(scheduler)
    groups = scheduler.optimizer.param_groups
    if len(read) != len(groups):
        raise ScheduleError(
            f"{name} was made for {len(read)} parameter groups, and its optimizer has {len(groups)}; make it anew"
        )
    for index, (schedule, group) in enumerate(zip(read, groups, strict=True)):
        _check_now(scheduler, schedule, group, index)
    return cast(_Read, agreed(read))


def _name(scheduler: Any) -> str:
    kind = type(scheduler)
    if kind.__module__ not in _OURS and kind.__module__ != "torch.optim.lr_scheduler":
        raise ScheduleError(
            f"from_torch reads the schedulers of torch.optim.lr_scheduler, got {kind.__module__}.{kind.__qualname__}; "
            "write down what it does: Factor.from_function(lambda step: ...)"
        )
    return kind.__name__


def _groups(scheduler: Any) -> list[_Either]:
    """Read one schedule for each parameter group."""
    name = _name(scheduler)
    match name:
        case "ReduceLROnPlateau":
            raise ScheduleError(
                "ReduceLROnPlateau lowers the rate when a metric no longer improves, so that the rate is no function "
                "of the step; keep it beside the schedule"
            )
        case "MultiplicativeLR":
            raise ScheduleError(
                "MultiplicativeLR multiplies what the rate happens to be by its function, again in each step; say what "
                "comes of it: exponential(decay=0.95) for a constant function, else Factor.from_function(f) where f is "
                "the product of all steps so far"
            )
        case "Scheduler" | "LearningRateScheduler":
            return _own(scheduler)
        case "SequentialLR":
            return _sequence(scheduler)
        case "ChainedScheduler":
            return _chain(scheduler)
        case "LambdaLR":
            return [Factor.from_function(function) for function in scheduler.lr_lambdas]
        case "CosineAnnealingLR":
            steps = whole(scheduler.T_max, "T_max")
            return [_annealed(base, scheduler.eta_min, steps).after("mirror") for base in _bases(scheduler)]
        case "CosineAnnealingWarmRestarts":
            return [
                _annealed(base, scheduler.eta_min, scheduler.T_0).repeat(stretch=scheduler.T_mult)
                for base in _bases(scheduler)
            ]
        case "CyclicLR":
            pairs = zip(scheduler.base_lrs, scheduler.max_lrs, strict=True)
            return [_cyclic(scheduler, float(low), float(high)) for low, high in pairs]
        case "OneCycleLR":
            return [_one_cycle(scheduler, group) for group in scheduler.optimizer.param_groups]
    return [_multiplied(scheduler, name)] * len(scheduler.base_lrs)


def _own(scheduler: Any) -> list[_Either]:
    for shape in scheduler.shapes:
        if scheduler.asks_for_the_rate(shape):
            raise ScheduleError(
                "a function of the epoch and the rate in force cannot be read; the rate is no function of the step"
            )
    kinds = [Factor if relative else Rate for relative in scheduler.relative]
    read = [kind(shape) for kind, shape in zip(kinds, scheduler.shapes, strict=True)]
    return read * len(scheduler.optimizer.param_groups) if scheduler.shared else read


def _multiplied(scheduler: Any, name: str) -> Factor:
    match name:
        case "StepLR":
            steps = whole(scheduler.step_size, "step_size")
            return Factor.exponential(decay=scheduler.gamma, every=steps, staircase=True)
        case "MultiStepLR":
            drops = sorted(whole(step, "a milestone") if step else 0 for step in scheduler.milestones.elements())
            values = {0: 1.0}
            for count, step in enumerate(drops, start=1):
                values[step] = scheduler.gamma**count
            return Factor.piecewise(values)
        case "ConstantLR":
            if scheduler.factor == 1:
                return Factor.constant(1.0)
            if scheduler.factor == 0:
                raise ScheduleError(
                    "ConstantLR with factor=0 divides by it at its end; say piecewise({0: 0.0, 5: 1.0})"
                )
            return Factor.piecewise({0: scheduler.factor, whole(scheduler.total_iters, "total_iters"): 1.0})
        case "LinearLR":
            steps = whole(scheduler.total_iters, "total_iters")
            return Factor.linear(scheduler.start_factor, scheduler.end_factor, steps=steps)
        case "ExponentialLR":
            return Factor.exponential(decay=scheduler.gamma)
        case "PolynomialLR":
            return Factor.polynomial(steps=whole(scheduler.total_iters, "total_iters"), power=scheduler.power)
    raise ScheduleError(f"from_torch does not know {name}; write down what it does: Factor.from_function(f)")


def _bases(scheduler: Any) -> list[float]:
    return [float(base) for base in scheduler.base_lrs]


def _annealed(base: float, floor: float, steps: int) -> _Either:
    if floor == 0:
        return Factor.cosine(steps=steps)
    return Rate.cosine(base, floor, steps=steps)


def _cyclic(scheduler: Any, low: float, high: float) -> Rate:
    if scheduler._scale_fn_custom is not None:
        raise ScheduleError(
            "CyclicLR with a scale_fn of your own cannot be read; write Rate.from_function(lambda step: ...)"
        )
    # PyTorch keeps the whole and the share of the rise only.
    up = _snapped(scheduler.total_size * scheduler.step_ratio)
    down = _snapped(scheduler.total_size - up)

    def wave(bottom: float, top: float) -> Rate:
        return Rate.linear(bottom, top, steps=up).then(Rate.linear(top, bottom, steps=down), at=up)

    if scheduler.mode == "triangular":
        return wave(low, high).repeat()
    if not high >= low:
        raise ScheduleError(f"CyclicLR with mode={scheduler.mode!r} is read when max_lr is above base_lr={low:g}")
    if scheduler.mode == "triangular2":
        return wave(0.0, high - low).repeat(scale=0.5).raised(low)
    shrinking = Factor.exponential(decay=scheduler.gamma)
    return (wave(0.0, high - low).repeat() * shrinking).raised(low)


def _snapped(steps: float) -> float:
    return round(steps) if math.isclose(steps, round(steps), rel_tol=1e-12) else steps


def _one_cycle(scheduler: Any, group: Any) -> Rate:
    bend = Rate.cosine if scheduler._anneal_func_type == "cos" else Rate.linear
    whole_cycle: Rate | None = None
    begin = 0.0
    for phase in scheduler._schedule_phases:
        end = phase["end_step"]
        # A phase that ends before step 0 is passed over, and the next one has begun as much before.
        if end >= 0 and end > begin:
            part = bend(float(group[phase["start_lr"]]), float(group[phase["end_lr"]]), steps=end - begin)
            part = part.shift(-begin) if begin < 0 else part
            whole_cycle = part if whole_cycle is None else whole_cycle.then(part, at=begin)
        elif end >= 0:
            break
        begin = end
    if whole_cycle is None:
        raise ScheduleError(f"OneCycleLR with total_steps={scheduler.total_steps} has no cycle to be read")
    return whole_cycle


def _sequence(scheduler: Any) -> list[_Either]:
    bounds = [0, *(whole(step, "a milestone") if step else 0 for step in scheduler._milestones)]
    if any(later < earlier for earlier, later in itertools.pairwise(bounds)):
        raise ScheduleError(f"SequentialLR's milestones must increase, got {scheduler._milestones!r}")
    # A scheduler whose turn ends as it begins is never asked.
    asked = [
        (begin, member)
        for begin, end, member in zip(bounds, [*bounds[1:], math.inf], scheduler._schedulers, strict=True)
        if begin < end
    ]
    groups = scheduler.optimizer.param_groups
    parts = [(begin, _part(member, groups)) for begin, member in asked]
    read: list[_Either] = []
    for index, group in enumerate(groups):
        here = [(begin, part[index]) for begin, part in parts]
        if any(isinstance(part, Rate) for _, part in here):
            base = float(group["initial_lr"])
            # Not base * part, which warns of small factors: what is read is not of this user's making.
            here = [(begin, part if isinstance(part, Rate) else Rate(Scale(part.shape, base))) for begin, part in here]
        joined: Any = here[0][1]
        for begin, part in here[1:]:
            joined = joined.then(part, at=begin)
        read.append(joined)
    return read


def _part(member: Any, groups: Any) -> list[_Either]:
    """Read a scheduler that takes its turn in a sequence."""
    if _name(member) in ("SequentialLR", "ChainedScheduler"):
        raise ScheduleError(
            f"a {_name(member)} inside a SequentialLR is stepped by PyTorch at the wrong times, and cannot be read; "
            "put its parts into one sequence"
        )
    read = _groups(member)
    starts = [float(group["initial_lr"]) for group in groups]
    if any(isinstance(part, Factor) for part in read) and _bases(member) != starts:
        raise ScheduleError(
            f"{_name(member)} was made when the rates were {_bases(member)}, and another scheduler of the sequence has "
            f"made them {starts}; make the optimizer and its schedulers anew, OneCycleLR and CyclicLR first"
        )
    return read


def _chain(scheduler: Any) -> list[_Either]:
    members = list(_unchained(scheduler))
    if len(members) == 1:
        return _groups(members[0])
    cosines = [member for member in members if _name(member) == "CosineAnnealingLR"]
    others = [member for member in members if _name(member) != "CosineAnnealingLR"]
    for member in others:
        if _name(member) not in _MULTIPLYING:
            raise ScheduleError(
                f"{_name(member)} sets the rate whatever it was, so that the chain is no product of its parts; "
                "multiply the schedules instead: factor * factor"
            )
    product: Any = None
    for member in others:
        factor = _groups(member)[0]
        product = factor if product is None else product * factor
    if not cosines:
        return [product] * len(members[0].base_lrs)
    turn = whole(cosines[0].T_max, "T_max")
    # At its turn CosineAnnealingLR adds to the rate, which only then is still a product when nothing else scales it.
    settled = product is not None and product.length <= turn and product(turn) == 1
    if len(cosines) > 1 or cosines[0].eta_min != 0 or not settled:
        raise ScheduleError(
            "a chain with CosineAnnealingLR is a product of its parts only where eta_min is 0 and all others have come "
            f"to 1 when it turns, at step {turn}; multiply the schedules instead: factor * factor"
        )
    return [product * factor for factor in _groups(cosines[0])]


def _unchained(scheduler: Any) -> Any:
    if _name(scheduler) != "ChainedScheduler":
        return [scheduler]
    return itertools.chain.from_iterable(_unchained(member) for member in scheduler._schedulers)


def _check_now(scheduler: Any, schedule: _Either, group: Any, index: int) -> None:
    """Compare with the rate that the optimizer has at this moment."""
    first = next(iter(_unchained(scheduler)))
    step = max(first.last_epoch, 0)
    now, base = group["lr"], float(group.get("initial_lr", group["lr"]))
    want = schedule(step) * (base if isinstance(schedule, Factor) else 1.0)
    # A rate in a tensor has single precision, and its rounding adds up.
    slack = 1e-9 if isinstance(now, float) else 1e-3
    if not math.isclose(float(now), want, rel_tol=1e3 * slack, abs_tol=slack * base):
        raise ScheduleError(
            f"{_name(scheduler)} reads as {schedule!r}, which is {want:.6g} at step {step}, but the optimizer's group "
            f"{index} has {float(now):.6g}: something else has changed it. Read the scheduler before, or write down "
            "what the rates are: Rate.piecewise({0: 0.1, 30: 0.01})"
        )
