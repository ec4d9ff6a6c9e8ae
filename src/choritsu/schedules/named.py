"""Schedules that have a name of their own, made of the others."""

from __future__ import annotations

import math
from typing import Literal

from choritsu.errors import ScheduleError
from choritsu.schedules.durations import Duration, Span, is_number, span
from choritsu.schedules.values import Factor, constant, cosine, inverse, linear, polynomial


def one_cycle(
    *,
    steps: Span,
    up: float = 0.3,
    start: float = 1 / 25,
    end: float = 1 / 25 / 1e4,
    curve: Literal["cosine", "linear"] = "cosine",
) -> Factor:
    """Rise to the peak, then fall far below the start.

    From `start` at k = 0 to 1 at k = up T - 1, then to `end` at k = T - 1, each along half a cosine or a line. torch:
    ``OneCycleLR``, whose `max_lr` is the base rate. optax' ends are one step later.

    Args:
        steps: T.
        up: the share of the steps that rises, in (0, 1).
        start: the first value, as a share of the peak; torch's 1/div_factor.
        end: the last value, as a share of the peak; torch's 1/(div_factor final_div_factor).
        curve: "cosine" or "linear".

    Raises:
        ScheduleError: for other values.

    Example:
        >>> rate = 0.1 * one_cycle(steps=10)
        >>> round(rate(0), 9), round(rate(2), 9), round(rate(9), 9)
        (0.004, 0.1, 4e-07)

    Reference:
        Smith and Topin, Super-Convergence, 2018.
    """
    steps = span(steps)
    if not isinstance(up, int | float) or not 0 < up < 1:
        raise ScheduleError(f"up is a share of the steps between 0 and 1, got {up!r}")
    if curve not in ("cosine", "linear"):
        raise ScheduleError(f'curve is "cosine" or "linear", got {curve!r}')
    rise = steps * up - 1
    if not isinstance(rise, Duration) and rise <= 0:
        raise ScheduleError(f"{steps:g} steps leave none to rise in with up={up:g}; it takes more than {1 / up:g}")
    bend = cosine if curve == "cosine" else linear
    fall = bend(1.0, end, steps=steps - steps * up)
    # The last of the T steps has the end, and is one of those planned.
    return bend(start, 1.0, steps=rise).then(fall, at=rise).then(constant(end, steps=1), at=steps - 1)


def wsd(
    *,
    warmup: Span,
    stable: Span,
    decay: Span,
    end: float = 0.0,
    curve: Literal["linear", "cosine", "1-sqrt"] = "linear",
) -> Factor:
    """Warm up, stay, decay: a trapezoid.

    k/W, then 1, then down to `end`: in a line, along half a cosine, or as 1 - sqrt(k/D). transformers:
    ``get_wsd_schedule``, which falls along the cosine.

    Args:
        warmup: W, the steps of the rise; 0 for none.
        stable: the steps at the peak; 0 for none.
        decay: D, the steps of the fall.
        end: the value after it.
        curve: the form of the fall.

    Example:
        >>> wsd(warmup=2, stable=2, decay=2).table(7)
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0]

    Reference:
        Hu and others, MiniCPM, 2024; Hägele and others, 2024, for 1-sqrt.
    """
    match curve:
        case "linear":
            fall = linear(1.0, end, steps=decay)
        case "cosine":
            fall = cosine(1.0, end, steps=decay)
        case "1-sqrt":
            fall = polynomial(1.0, end, steps=decay, power=0.5, ease="in")
        case _:
            raise ScheduleError(f'curve is "linear", "cosine" or "1-sqrt", got {curve!r}')
    none = is_number(stable) and stable == 0
    body = fall if none else constant(1.0).then(fall, at=span(stable, "stable"))
    return body.warmup(warmup)


def inverse_sqrt(*, warmup: Span, timescale: Span | None = None) -> Factor:
    """Warm up, then fall with the inverse square root of the time.

    k/W for k < W, then sqrt(s / (k - W + s)). transformers: ``get_inverse_sqrt_schedule``.

    Args:
        warmup: W.
        timescale: s, by default W.

    Example:
        >>> inverse_sqrt(warmup=4).table(17)[::4]
        [0.0, 1.0, 0.7071067811865475, 0.5773502691896258, 0.5]
    """
    return inverse(1.0, every=warmup if timescale is None else timescale, power=0.5).warmup(warmup)


def noam(*, warmup: int, dimension: int | None = None) -> Factor:
    """Rise in a line, then fall with the inverse square root, counting from 1: the Transformer's schedule.

    With n = k + 1: dimension^-0.5 min(n^-0.5, n warmup^-1.5); without a dimension, scaled to a peak of 1.

    Args:
        warmup: the step n at the peak.
        dimension: the width of the model; the base rate is then 1.

    Example:
        >>> noam(warmup=4).table(4)
        [0.25, 0.5, 0.75, 1.0]
        >>> round(noam(warmup=4)(15), 12)
        0.5

    Reference:
        Vaswani and others, Attention Is All You Need, 2017, equation 3.
    """
    for name, value in (("warmup", warmup), ("dimension", 1 if dimension is None else dimension)):
        if isinstance(span(value, name), Duration):
            raise ScheduleError(f"{name} of noam is a plain number, got {value!r}")
    rise = linear(1 / warmup, 1.0, steps=warmup - 1) if warmup > 1 else None
    fall = inverse(1.0, every=warmup, power=0.5)
    whole = fall if rise is None else rise.then(fall)
    return whole if dimension is None else whole.scaled(1 / math.sqrt(dimension * warmup))


def cyclic(
    low: float,
    high: float = 1.0,
    *,
    up: Span,
    down: Span | None = None,
    scale: float = 1.0,
    decay: float = 1.0,
) -> Factor:
    """Go up and down between two values in straight lines, for ever.

    torch: ``CyclicLR``; "triangular2" is scale=0.5, "exp_range" is decay=gamma.

    Args:
        low: the value at k = 0.
        high: the value `up` steps later.
        up: the steps of each rise.
        down: the steps of each fall, by default as many.
        scale: how many times as high each cycle is above `low` as the one before.
        decay: the same, for each step.

    Example:
        >>> cyclic(0.5, 1.0, up=2).table(6)
        [0.5, 0.75, 1.0, 0.75, 0.5, 0.75]

    Reference:
        Smith, Cyclical Learning Rates, WACV 2017.
    """
    if not high > low:
        raise ScheduleError(f"high must be above low={low:g}, got {high!r}")
    down = up if down is None else down
    wave = linear(0.0, high - low, steps=up).then(linear(high - low, 0.0, steps=down), at=up).repeat(scale=scale)
    if decay != 1.0:
        wave = wave * Factor.exponential(1.0, decay=decay)
    return wave.raised(low)


def restarts(
    *, steps: Span, end: float = 0.0, stretch: float = 1.0, scale: float = 1.0, times: float = math.inf
) -> Factor:
    """Fall along half a cosine, and begin again.

    torch: ``CosineAnnealingWarmRestarts`` (T_0, T_mult); Keras: ``CosineDecayRestarts`` (t_mul, m_mul).

    Args:
        steps: the length of the first cycle.
        end: the value that each cycle falls to, never quite reached; it is not scaled.
        stretch: how many times longer each cycle is than the one before.
        scale: how many times as high it is above `end`.
        times: how many cycles; then the value stays at `end`.

    Example:
        >>> restarts(steps=2, scale=0.5).table(5)
        [1.0, 0.5, 0.5, 0.25, 0.25]

    Reference:
        Loshchilov and Hutter, SGDR, ICLR 2017.
    """
    cycles = cosine(1.0 - end, 0.0, steps=steps).repeat(times, stretch=stretch, scale=scale)
    return cycles.raised(end) if end else cycles
