"""The schedules of transformers, read as values."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, cast

from choritsu.errors import ScheduleError
from choritsu.schedules.readers.checks import agreed, sampled, verified
from choritsu.schedules.values import Factor, constant, cosine, inverse, linear, polynomial


def from_transformers(scheduler: Any, *others: Any, **options: Any) -> Factor | tuple[Factor, ...]:
    """Read a schedule that transformers made: ``get_cosine_schedule_with_warmup(...)``, ``get_scheduler(...)``.

    They are PyTorch's ``LambdaLR``, with a function that holds its numbers. These are read, and what was read is
    compared with the function before it is returned: in every step of the run, or 4,096 of them.

    Args:
        scheduler: as transformers made it, not as accelerate wraps it.
        others: none; a name and its numbers are for transformers to read.
        options: likewise.

    Returns:
        A factor of the optimizer's rate; a tuple with one for each parameter group where they differ.

    Raises:
        ScheduleError: when the rate depends on a metric (``reduce_lr_on_plateau``, ``greedy``), for functions that
            transformers did not make, and for the name of a schedule.

    Example:
        >>> from transformers import get_linear_schedule_with_warmup    # doctest: +SKIP
        >>> from_transformers(get_linear_schedule_with_warmup(optimizer, 10, 100))    # doctest: +SKIP
        Factor(warmup(linear(1, 0, steps=90), steps=10))
    """
    if isinstance(scheduler, str) or others or options:
        given = f"{scheduler!r}" if isinstance(scheduler, str) else '"cosine"'
        raise ScheduleError(
            "from_transformers reads a scheduler that transformers made, and nothing else: write "
            f"from_transformers(transformers.get_scheduler({given}, optimizer, num_warmup_steps=..., "
            "num_training_steps=...))"
        )
    name = type(scheduler).__name__
    if name in ("ReduceLROnPlateau", "GreedyLR"):
        raise ScheduleError(
            f"{name} changes the rate as a metric goes, so that the rate is no function of the step; keep it beside "
            "the schedule"
        )
    if not hasattr(scheduler, "lr_lambdas") or name != "LambdaLR":
        raise ScheduleError(
            "from_transformers reads the LambdaLR that transformers makes, got "
            f"{type(scheduler).__module__}.{type(scheduler).__qualname__}"
        )
    return agreed([_of_function(function) for function in scheduler.lr_lambdas])


def _of_function(function: Any) -> Factor:
    inner = function.func if isinstance(function, functools.partial) else function
    name = getattr(inner, "__name__", type(inner).__name__)
    held: dict[str, Any] = function.keywords if isinstance(function, functools.partial) else {}
    try:
        factor, marks = _read(name, held), _marks(held)
    except (KeyError, TypeError) as error:
        raise ScheduleError(f"{name} holds {held!r}, which cannot be read: {error!r}") from error
    return verified(
        factor,
        lambda steps: [float(function(step)) for step in steps],
        sampled(1.2 * max(marks) + 5, marks),
        name=name,
        relative=1e-9,
        absolute=1e-12,
    )


def _marks(held: Mapping[str, Any]) -> list[float]:
    """Give the steps at which something changes, and some beyond the last of them."""
    names = ("num_warmup_steps", "num_stable_steps", "num_decay_steps")
    lengths = [held[name] for name in names if name in held]
    return [*itertools.accumulate(lengths), held.get("num_training_steps", 0), 3 * (held.get("timescale") or 0)]


def _read(name: str, held: Mapping[str, Any]) -> Factor:
    warmup = held.get("num_warmup_steps", 0)
    match name:
        case "_get_constant_lambda":
            return constant(1.0)
        case "_get_constant_schedule_with_warmup_lr_lambda":
            return _warmed(constant(1.0), warmup)
        case "_get_linear_schedule_with_warmup_lr_lambda":
            if 0 < held["num_training_steps"] <= warmup:
                return linear(0.0, 1.0, steps=warmup).then(0.0)
            return _warmed(linear(1.0, 0.0, steps=_rest(held)), warmup)
        case "_get_cosine_schedule_with_warmup_lr_lambda":
            return _warmed(_wave(_rest(held), held["num_cycles"], held.get("min_lr_rate", 0.0)), warmup)
        case "_get_cosine_with_hard_restarts_schedule_with_warmup_lr_lambda":
            rest = _rest(held)
            cycles = cosine(1.0, 0.0, steps=rest / held["num_cycles"])
            return _warmed(cycles if held["num_cycles"] == 1 else cycles.repeat().then(0.0, at=rest), warmup)
        case "_get_polynomial_decay_schedule_with_warmup_lr_lambda":
            end = held["lr_end"] / held["lr_init"]
            return _warmed(polynomial(1.0, end, steps=_rest(held), power=held["power"]), warmup)
        case "_get_inverse_sqrt_schedule_lr_lambda":
            return _warmed(inverse(1.0, every=held["timescale"], power=0.5), warmup)
        case "_get_cosine_with_min_lr_schedule_with_warmup_lr_rate_lambda":
            return _one_ahead(held, warmup)
        case "_get_wsd_scheduler_lambda":
            return _warmup_stable_decay(held)
    raise ScheduleError(
        f"from_transformers does not know the function {name}; write Factor.from_function(f, steps=...)"
    )


def _rest(held: Mapping[str, Any]) -> float:
    """Give the number of steps after the warm-up, as transformers counts them."""
    return cast(float, max(1, held["num_training_steps"] - held["num_warmup_steps"]))


def _warmed(factor: Factor, steps: float) -> Factor:
    return factor.warmup(steps) if steps > 0 else factor


def _wave(steps: float, cycles: float, floor: float) -> Factor:
    """Give a cosine that goes down and up `cycles` times, and goes on so for ever."""
    return cosine(1.0, floor, steps=steps if cycles == 0.5 else steps / (2 * cycles)).after("mirror")


def _one_ahead(held: Mapping[str, Any], warmup: float) -> Factor:
    wave = _wave(_rest(held), held["num_cycles"], held.get("min_lr_rate", 0.0)).shift(1)
    if warmup <= 0:
        return wave
    first = held.get("warmup_lr_rate")
    if first is None:
        return linear(0.0, 1.0, steps=warmup).shift(1).then(wave, at=warmup)
    return linear(first, 1.0, steps=max(1, warmup - 1)).then(wave, at=warmup)


def _warmup_stable_decay(held: Mapping[str, Any]) -> Factor:
    floor, cycles = held["min_lr_ratio"], held.get("num_cycles", 0.5)
    warmup, stable, decay = (held[f"num_{part}_steps"] for part in ("warmup", "stable", "decay"))
    if stable < 0:
        raise ScheduleError(
            f"{warmup:g} steps of warm-up and {decay:g} of decay are {-stable:g} more than the run has; give it more"
        )
    pieces: list[tuple[Factor, float]] = []
    if warmup:
        match held.get("warmup_type", "linear"):
            case "linear":
                rise = linear(floor, 1.0, steps=warmup)
            case "cosine":
                rise = cosine(floor, 1.0, steps=warmup)
            case _:
                rise = polynomial(floor, 1.0, steps=warmup, power=0.5)
        pieces.append((rise, warmup))
    if stable:
        pieces.append((constant(1.0), stable))
    if decay:
        match held.get("decay_type", "cosine"):
            case "linear":
                fall = linear(1.0, floor, steps=decay)
            case "cosine":
                fall = cosine(1.0, floor, steps=decay) if cycles == 0.5 else _wave(decay, cycles, floor)
            case _:
                fall = polynomial(1.0, floor, steps=decay, power=0.5, ease="in")
        pieces.append((fall, decay))
    pieces.append((constant(floor), math.inf))
    whole, begin = pieces[0]
    for part, steps in pieces[1:]:
        whole, begin = whole.then(part, at=begin), begin + steps
    return whole
