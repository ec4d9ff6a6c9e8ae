"""Keras' schedules, read as values."""

from __future__ import annotations

from typing import Any

from choritsu.errors import ScheduleError
from choritsu.schedules.readers.checks import sampled, verified, whole
from choritsu.schedules.shapes import is_node
from choritsu.schedules.values import Factor, Rate


def from_keras(schedule: Any) -> Rate:
    """Read a schedule of ``keras.optimizers.schedules``.

    All six classes are read, and compared with what they give before they are returned. Keras computes in single
    precision; the rate that was read has the numbers that the schedule was made with, in double precision. A cyclic
    ``PolynomialDecay`` is the same at whole steps only. Of `Rate.to_keras` it gives the rate back.

    Args:
        schedule: of class ``CosineDecay``, ``CosineDecayRestarts``, ``ExponentialDecay``, ``InverseTimeDecay``,
            ``PiecewiseConstantDecay`` or ``PolynomialDecay``.

    Returns:
        A rate over optimizer updates.

    Raises:
        ScheduleError: for another class, and for numbers that make no rate.

    Example:
        >>> import keras
        >>> from_keras(keras.optimizers.schedules.CosineDecay(0.1, 100, alpha=0.5))
        Rate(cosine(0.1, 0.05, steps=100))
    """
    kind = type(schedule)
    if kind.__module__ == "choritsu.schedules.keras" and is_node(getattr(schedule, "planned", None)):
        return Rate(schedule.planned)
    if not kind.__module__.startswith("keras.src.optimizers.schedules."):
        raise ScheduleError(
            "from_keras reads the schedules of keras.optimizers.schedules, got "
            f"{kind.__module__}.{kind.__qualname__}; write Rate.from_function(lambda step: ...)"
        )
    config = schedule.get_config()
    rate, marks = _read(kind.__name__, config)
    jumps = kind.__name__ == "CosineDecayRestarts" or config.get("staircase", False)
    return verified(
        rate,
        lambda steps: _values(schedule, steps),
        sampled(1.5 * max(marks), marks, most=8),
        name=kind.__name__,
        relative=1e-2,
        absolute=1e-4,
        late=1e-5 if jumps else 0.0,
    )


def _values(schedule: Any, steps: list[int]) -> list[float]:
    import keras

    if keras.backend.backend() == "jax" and type(schedule).__name__.startswith("CosineDecay"):
        import jax

        # The conditions inside would be compiled anew for each step. The others hold quotients, which are less exact
        # when compiled.
        found = jax.jit(jax.vmap(schedule))(keras.ops.array(steps, dtype="int32"))
        return [float(value) for value in keras.ops.convert_to_numpy(found)]
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in steps]


def _read(name: str, config: dict[str, Any]) -> tuple[Rate, list[float]]:
    """Give the rate, and the steps at which something changes."""
    start = config.get("initial_learning_rate", 0.0)
    match name:
        case "ExponentialDecay":
            every, staircase = config["decay_steps"], config["staircase"]
            return Rate.exponential(start, decay=config["decay_rate"], every=every, staircase=staircase), [every]
        case "InverseTimeDecay":
            every, staircase = config["decay_steps"], config["staircase"]
            return Rate.inverse(start, decay=config["decay_rate"], every=every, staircase=staircase), [every]
        case "PiecewiseConstantDecay":
            bounds, values = config["boundaries"], config["values"]
            # A boundary still has the old value.
            later = {int(bound) + 1: value for bound, value in zip(bounds, values[1:], strict=True)}
            return Rate.piecewise({0: values[0], **later}), [0, *bounds]
        case "PolynomialDecay":
            steps = config["decay_steps"]
            end, power = config["end_learning_rate"], config["power"]
            if not config["cycle"]:
                return Rate.polynomial(start, end, steps=steps, power=power), [steps]
            return _cycles(start, end, whole(steps, "decay_steps of a cyclic PolynomialDecay"), power), [2 * steps]
        case "CosineDecay":
            return _cosine(start, config)
        case "CosineDecayRestarts":
            floor = config["alpha"] * start
            steps, stretch, scale = config["first_decay_steps"], config["t_mul"], config["m_mul"]
            if scale == 1:
                return Rate.cosine(start, floor, steps=steps).repeat(stretch=stretch), [steps * (1 + stretch)]
            cycles = Rate.cosine(start - floor, 0.0, steps=steps).repeat(stretch=stretch, scale=scale)
            return cycles.raised(floor) if floor else cycles, [steps * (1 + stretch)]
    raise ScheduleError(f"from_keras does not know {name}; write Rate.from_function(lambda step: ...)")


def _cosine(start: float, config: dict[str, Any]) -> tuple[Rate, list[float]]:
    steps, target, warmup = config["decay_steps"], config["warmup_target"], config["warmup_steps"]
    if target is None:
        return Rate.cosine(start, config["alpha"] * start, steps=steps), [steps]
    fall = Rate.cosine(target, config["alpha"] * target, steps=steps)
    return fall.warmup(warmup, init=start) if warmup else fall, [warmup, warmup + steps]


def _cycles(start: float, end: float, steps: int, power: float) -> Rate:
    """Give ((start - end) (1 - k/nT)^power + end, where n is k/T rounded up, and 1 at k = 0."""
    if steps == 1:
        return Rate.piecewise({0: start, 1: end})
    # In cycle n, (1 - k/nT) is (1 - j/T) / n with k = (n - 1) T + j and j from 1 to T: counted from k = 1 on, a curve
    # begun one step in, over and over, and the inverse of a staircase.
    fall = Rate.polynomial(start - end, 0.0, steps=steps, power=power)
    cycle = fall.shift(1).then(Rate.constant(0.0, steps=1), at=steps - 1).repeat()
    lower = Factor.inverse(every=steps, power=power, staircase=True)
    cycles = Rate.constant(start - end, steps=1).then(cycle * lower)
    return cycles.raised(end) if end else cycles
