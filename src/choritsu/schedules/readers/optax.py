"""Optax' schedules, read as values."""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Sequence
from typing import Any

from choritsu.errors import ScheduleError
from choritsu.schedules.readers.checks import sampled, verified
from choritsu.schedules.values import Rate

#: Up to which step what was read is compared.
_FAR = 1_000_000
_TOGETHER = 1024


def from_optax(schedule: Any) -> Rate:
    """Read a schedule that one of optax' functions made.

    These are functions that hold their numbers inside. They are read from there, whichever of optax' functions made
    them and however they were joined, and compared with what the function gives before they are returned. JAX computes
    in single precision; the rate that was read has the numbers that the schedule was made with, in double precision.

    Args:
        schedule: what ``optax.cosine_decay_schedule(...)`` and its kin returned.

    Returns:
        A rate over updates.

    Raises:
        ScheduleError: for any other function, also one inside ``optax.join_schedules``, and for numbers that make no
            rate.

    Example:
        >>> import optax
        >>> from_optax(optax.cosine_decay_schedule(0.1, decay_steps=100, alpha=0.5))
        Rate(cosine(0.1, 0.05, steps=100))
    """
    rate = _read(schedule)
    marks = sorted(_marks(schedule))
    end = min(1.5 * marks[-1], _FAR)
    return verified(
        rate,
        lambda steps: _values(schedule, steps),
        sampled(end, [mark for mark in marks if mark < _FAR], most=_TOGETHER - 24),
        name=schedule.__qualname__.partition(".")[0],
        relative=1e-2,
        absolute=1e-4,
        late=1e-6 if any(held.get("staircase") for held in _everything(schedule)) else 0.0,
    )


def _values(schedule: Any, steps: list[int]) -> Sequence[float]:
    import jax
    import numpy as np

    # As many as last time, so that JAX need not compile anew.
    padded = np.zeros(-(-len(steps) // _TOGETHER) * _TOGETHER, np.int32)
    padded[: len(steps)] = steps
    return [float(value) for value in np.asarray(jax.jit(jax.vmap(schedule))(padded))[: len(steps)]]


def _maker(schedule: Any) -> str:
    """Give the name of the optax function that made a schedule."""
    module, name = getattr(schedule, "__module__", ""), getattr(schedule, "__qualname__", "")
    maker, inside, _ = name.partition(".<locals>.")
    plain = isinstance(schedule, types.FunctionType)
    if not plain or not str(module).startswith("optax.") or not inside:
        what = f"{module}.{name}" if plain else repr(schedule)
        raise ScheduleError(
            f"from_optax reads what optax' own functions made, such as optax.cosine_decay_schedule(...), got {what}; "
            "write Rate.from_function(f, steps=...)"
        )
    return maker


def _held(schedule: Any) -> dict[str, Any]:
    """Give the values that a schedule holds inside, by their names."""
    names, cells = schedule.__code__.co_freevars, schedule.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(names, cells, strict=True) if _is_full(cell)}


def _is_full(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _everything(schedule: Any) -> list[dict[str, Any]]:
    held = _held(schedule)
    return [held, *itertools.chain.from_iterable(_everything(part) for part in held.get("schedules", ()))]


def _marks(schedule: Any, begin: float = 0.0) -> set[float]:
    """Give the steps at which something changes."""
    held = _held(schedule)
    late = begin + _plain(held.get("transition_begin", 0))
    lengths = [_plain(held[name]) for name in ("transition_steps", "decay_steps") if name in held]
    marks = {begin + 10, late, *(late + length for length in lengths)}
    if "schedules" in held:
        begins = [0, *held["boundaries"]]
        for part, start in zip(held["schedules"], begins, strict=False):
            marks |= {begin + _plain(start)} | _marks(part, begin + _plain(start))
    elif held.get("boundaries") is not None:
        marks |= {begin + _plain(bound) for bound in held["boundaries"]}
    return marks | {begin + _plain(bound) for bound in held.get("boundaries_and_scales") or {}}


def _read(schedule: Any) -> Rate:
    maker, held = _maker(schedule), _held(schedule)
    match maker, sorted(held):
        case "constant_schedule", ["value"]:
            return Rate.constant(_plain(held["value"]))
        case (("polynomial_schedule" | "exponential_decay"), ["init_value"]):
            return Rate.constant(_plain(held["init_value"]))
        case "polynomial_schedule", _:
            start, end, power = (_plain(held[name]) for name in ("init_value", "end_value", "power"))
            return _begun(Rate.polynomial(start, end, steps=_plain(held["transition_steps"]), power=power), held)
        case "exponential_decay", _:
            return _exponential(held)
        case "cosine_decay_schedule", _:
            start, alpha, power = (_plain(held[name]) for name in ("init_value", "alpha", "exponent"))
            return Rate.cosine(start, alpha * start, steps=_plain(held["decay_steps"]), power=power)
        case "piecewise_constant_schedule", _:
            scales = sorted((held["boundaries_and_scales"] or {}).items())
            return Rate.piecewise(_listed(held["init_value"], scales))
        case "piecewise_interpolate_schedule", _:
            return _interpolated(held)
        case "join_schedules", ["boundaries", "schedules"]:
            return _joined(held)
    raise ScheduleError(f"from_optax does not know {maker}; write Rate.from_function(f, steps=...)")


def _plain(value: Any) -> float:
    try:
        return float(value)
    except Exception as error:  # a traced value raises an error of JAX' own
        raise ScheduleError(f"the schedule holds {value!r}, where a plain number is wanted") from error


def _begun(rate: Rate, held: dict[str, Any]) -> Rate:
    begin = _plain(held["transition_begin"])
    return rate.shift(-begin) if begin else rate


def _exponential(held: dict[str, Any]) -> Rate:
    start, decay = _plain(held["init_value"]), _plain(held["decay_rate"])
    every, staircase = _plain(held["transition_steps"]), held["staircase"]
    rate = _begun(Rate.exponential(start, decay=decay, every=every, staircase=staircase), held)
    if held["end_value"] is None:
        return rate
    end = _plain(held["end_value"])
    return rate.clip(low=end) if decay < 1 else rate.clip(high=end)


def _listed(start: Any, scales: Sequence[tuple[float, Any]]) -> dict[float, float]:
    value = _plain(start)
    values = {0.0: value}
    for bound, scale in scales:
        value *= _plain(scale)
        values[max(_plain(bound), 0)] = value
    return values


def _interpolated(held: dict[str, Any]) -> Rate:
    bounds = [_plain(bound) for bound in held["boundaries"]]
    if any(0 < later - earlier < 1 for earlier, later in itertools.pairwise((0, *bounds))):
        raise ScheduleError(
            f"steps less than 1 apart cannot be read, got {', '.join(f'{bound:g}' for bound in bounds)}"
        )
    between = "linear" if held["interpolate_fn"].__name__ == "_linear_interpolate" else "cosine"
    scales = list(zip(bounds, held["scales"], strict=True))
    return Rate.piecewise(_listed(held["init_value"], scales), between=between)  # type: ignore[arg-type]


def _joined(held: dict[str, Any]) -> Rate:
    bounds = [_plain(bound) for bound in held["boundaries"]]
    if any(later < earlier for earlier, later in itertools.pairwise([0, *bounds])):
        raise ScheduleError(f"the boundaries of join_schedules must increase, got {bounds!r}")
    rate: Rate | None = None
    # Optax leaves out the schedules for which there is no boundary.
    parts = list(zip(held["schedules"], [0, *bounds], strict=False))
    ends = [begin for _, begin in parts[1:]]
    for (part, begin), end in zip(parts, [*ends, math.inf], strict=False):
        # A schedule whose turn ends as it begins is never asked.
        if begin < end:
            read = _read(part)
            rate = read if rate is None else rate.then(read, at=begin)
    if rate is None:
        raise ScheduleError("join_schedules without a schedule cannot be read")
    return rate
