"""What can go wrong with a learning rate at run time, as rules over plain numbers. No framework, and no state.

Each rule takes what was seen and gives a `Suspicion`, or None. A rule that cannot tell stays silent: much right code
looks wrong, and a false alarm does more harm than a miss.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, Literal, TypeAlias, TypeVar

from choritsu.errors import ScheduleError
from choritsu.schedules.coding import phrase
from choritsu.schedules.durations import Duration
from choritsu.schedules.shapes import Function, Quotient, Scale, Shape, Warmup, bound, everything_in, is_node
from choritsu.schedules.values import Rate, Schedule

_F = TypeVar("_F", bound=Callable[..., Any])

#: An epoch or step, and what a function gave for it.
Point: TypeAlias = tuple[int, float]


class Trap(StrEnum):
    """The mistakes that the guard knows."""

    SQUARED_RATE = "squared_rate"
    FACTOR_AS_RATE = "factor_as_rate"
    COMPOUNDING = "compounding"
    NOT_A_RATE = "not_a_rate"
    ORDER = "order"
    HORIZON_SHORT = "horizon_short"
    HORIZON_LONG = "horizon_long"
    EPOCHS_FOR_STEPS = "epochs_for_steps"
    WARMUP_LONG = "warmup_long"
    RESTARTED = "restarted"
    TWO_CONTROLLERS = "two_controllers"


@dataclass(frozen=True)
class Suspicion:
    """One thing that looks wrong.

    Args:
        trap: which mistake.
        message: what was seen, in numbers, and the line to write.
        numbers: these numbers, by name.
    """

    trap: Trap
    message: str
    numbers: Mapping[str, float] = field(default_factory=dict, hash=False)


def traps(names: Iterable[str]) -> frozenset[Trap]:
    """Read names of traps.

    Raises:
        ScheduleError: for a name that is none.

    Example:
        >>> traps(["order"])
        frozenset({<Trap.ORDER: 'order'>})
    """
    listed = [names] if isinstance(names, str) else list(names)
    known = [str(trap) for trap in Trap]
    for name in listed:
        if name not in known:
            raise ScheduleError(f"allow takes names among {', '.join(known)}; got {name!r}")
    return frozenset(Trap(name) for name in listed)


# -- saying that it is meant -----------------------------------------------------------------------

_MARK = "_choritsu_meant"


def meant(function: _F) -> _F:
    """Say that a function of yours gives what it should: the guard is silent about it.

    Args:
        function: what `LambdaLR`, `MultiplicativeLR` or `LearningRateScheduler` is given.

    Returns:
        The function, marked. What takes no mark, such as a bound method, is wrapped in a ``functools.partial``.

    Example:
        >>> tiny = meant(lambda epoch: 1e-3 * 0.5**epoch)
        >>> tiny(1)
        0.0005
    """
    try:
        setattr(function, _MARK, True)
    except (AttributeError, TypeError):
        wrapped: Any = functools.partial(function)
        setattr(wrapped, _MARK, True)
        return wrapped  # type: ignore[no-any-return]
    return function


def is_meant(function: Any) -> bool:
    """Tell whether a function, or one inside a schedule or shape, was marked by `meant`."""
    return any(getattr(inner, _MARK, False) for inner in (function, *functions_in(function)))


def functions_in(thing: Any) -> list[Any]:
    """List the user's functions inside a schedule or a shape; none where it consists of ours alone.

    Example:
        >>> functions_in(Rate.from_function(abs).warmup(3)), functions_in(Rate(0.1))
        ([<built-in function abs>], [])
    """
    shape = thing.shape if isinstance(thing, Schedule) else thing
    if not is_node(shape):
        return []
    return [node.function for node in everything_in(shape) if isinstance(node, Function)]


def is_ours(thing: Any) -> bool:
    """Tell whether a schedule or shape consists of our own curves alone: nothing is hidden in a function."""
    return (isinstance(thing, Schedule) or is_node(thing)) and not functions_in(thing)


# -- asking a user's function ----------------------------------------------------------------------

#: From here on a function gives factors, and is not asked further.
FACTOR = 0.5
#: Rates that begin lower, and not at 0, are rates: a search for one begins far below.
LEAST_FACTOR = 0.05
#: No factor is smaller at all times.
_TINY = 0.02
#: A rate that is as small at all times is none worth the name. Rounding may make a little more of it.
_NOTHING = 1e-5 * (1 + 1e-6)
_FAR = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 300, 500, 1000, 3000, 10000)


def asked(function: Any, points: Iterable[int], enough: float = FACTOR) -> list[Point]:
    """Call a user's function at some steps, up to the first that gives at least `enough`, or fails.

    An object that is called may count its calls: a copy of it is asked, and none where it holds more than plain values.

    Args:
        function: of the step.
        points: where.
        enough: what ends the asking.

    Returns:
        What it gave.

    Example:
        >>> asked(lambda epoch: (epoch + 1) / 5, [0, 1, 2, 3])
        [(0, 0.2), (1, 0.4), (2, 0.6)]
    """
    callable_now = _safe(function)
    found: list[Point] = []
    if callable_now is None:
        return found
    for point in points:
        try:
            value = float(callable_now(point))
        except Exception:  # noqa: BLE001  # a user's function may raise anything, and is only looked at
            break
        found.append((point, value))
        if not value < enough:
            break
    return found


def _safe(function: Any) -> Callable[[int], Any] | None:
    if isinstance(function, functools.partial):
        return function if _safe(function.func) is function.func else None
    plain = types.FunctionType | types.MethodType | types.BuiltinFunctionType
    if is_node(function) or isinstance(function, Schedule | plain):
        return function  # type: ignore[no-any-return]
    if all(_is_plain(value) for value in getattr(function, "__dict__", {"": object()}).values()):
        return copy.deepcopy(function)  # type: ignore[no-any-return]
    return None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 10000 and all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def far_points(horizon: float | None) -> list[int]:
    """Give the steps at which a function that begins small is asked whether it grows.

    Example:
        >>> far_points(100)
        [1, 3, 5, 10, 25, 50, 75, 99]
    """
    if horizon is None or not 2 < horizon < math.inf:
        return list(_FAR)
    shares = (0.01, 0.03, 0.05, 0.1, 0.25, 0.5, 0.75, 1)
    return sorted({min(max(int(horizon * share), 1), int(horizon) - 1) for share in shares})


#: Our own curves are asked at so many places, which costs next to nothing.
_PLACES = 200


def over_all(shape: Any, enough: float = FACTOR) -> list[Point]:
    """Ask a schedule over all its length and a little beyond, up to the first value of at least `enough`.

    Args:
        shape: of a schedule; where its lengths are not known in steps, some are taken.
        enough: what ends the asking.

    Example:
        >>> from choritsu.schedules import epochs, linear
        >>> over_all(linear(0.0, 1.0, steps=epochs(2)).shape)[-1]
        (100, 0.5)
    """
    whole = bound(shape, 100, 1000)
    length = whole.length
    begun = asked(whole, [0], enough) if is_ours(whole) else []
    if begun and begun[0][1] >= enough:
        return begun
    if not is_ours(whole):
        # An object that counts its calls would count these.
        plain = all(_safe(function) is function for function in functions_in(whole))
        return asked(whole, [0, *far_points(length)], enough) if plain else []
    last = min(math.ceil(length), 10000) if length < math.inf else 10000
    return asked(
        whole, sorted({last * place // _PLACES for place in range(_PLACES)} | {1, 3, 10, last, last + 1}), enough
    )


# -- a rate where a factor is wanted, and the other way round --------------------------------------


def may_be_squared(base: float, first: float | None) -> bool:
    """Tell whether it is worth asking a function further, from the base rate and what it gave first."""
    return 0 < base < FACTOR and (first is None or first <= max(base * 1.001, _TINY))


@dataclass(frozen=True)
class _Square:
    """A rate times a rate: where it is largest, and what was multiplied."""

    base: float
    step: int
    top: float

    @property
    def numbers(self) -> dict[str, float]:
        return {"base": self.base, "value": self.top, "rate": self.base * self.top}

    @property
    def product(self) -> str:
        return f"{self.base:.3g} × {self.top:.3g} = {self.base * self.top:.3g}"  # noqa: RUF001


def _square(
    base: float, values: Sequence[Point], groups: Sequence[float] = (), *, certain: bool = False
) -> _Square | None:
    """Decide whether factors are rates: the largest is one that they meet, or no rate worth the name is left."""
    known = [(step, value) for step, value in values if math.isfinite(value)]
    if not known or not may_be_squared(base, None):
        return None
    step, top = max(known, key=lambda point: point[1])
    if not 0 < top < FACTOR:
        return None
    if certain:
        return _Square(base, step, top)
    still_rises = step == known[-1][0] and known[0][1] < top
    # A function follows the rate that was passed on, and some groups may have others. Where the rates of groups are
    # multipliers, and the function rightly gives rates, the largest is near 1.
    same = [rate for rate in (base, *groups) if math.isclose(top, rate, rel_tol=1e-3)]
    vanishes = top <= _TINY and base < 0.1 and base * top <= _NOTHING and top >= base / 100
    if still_rises or not (same or vanishes):
        return None
    return _Square(same[0] if same else base, step, top)


#: What a framework's own object is made of a schedule by.
To: TypeAlias = Literal["to_torch(optimizer)", "to_keras_callback()", "to_keras(base_rate)"]


def squared(
    base: float,
    values: Sequence[Point],
    *,
    name: str,
    to: To,
    function: bool = True,
    certain: bool = False,
    groups: Sequence[float] = (),
    group: int | None = None,
) -> Suspicion | None:
    """Suspect that factors are rates, and that each is multiplied by the rate once more.

    The largest factor equals the rate of the optimizer, or of one of its groups; or all are so small that no rate worth
    the name is left.

    Args:
        base: the largest rate of the optimizer's groups.
        values: what the function gave, over all the training.
        name: of the scheduler, as the user wrote it.
        to: what the framework's own object is made by.
        function: whether the user wrote a function, and not one of our factors.
        certain: they are known to be rates.
        groups: the rates of the optimizer's groups, where there are several.
        group: the number of the one group that has these factors, where others have others.

    Example:
        >>> squared(1e-3, [(0, 1e-3), (10, 1e-4)], name="LambdaLR", to="to_torch(optimizer)").numbers
        {'base': 0.001, 'value': 0.001, 'rate': 1e-06}
        >>> squared(1e-3, [(0, 1.0)], name="LambdaLR", to="to_torch(optimizer)")
    """
    found = _square(base, values, groups, certain=certain)
    if found is None:
        return None
    of_group = " of a parameter group" if len(set(groups)) > 1 else ""
    if group is not None:
        of_group = f" of parameter group {group}"
    what, cure = "the function" if function else "the factor", f"Let it begin at 1; or write (1.0 * factor).{to}"
    if certain:
        cure = f"Write rate.{to}; or return a factor, rate(epoch) / {found.base:.3g}"
    elif of_group and (function or group is not None):
        cure = (
            "Return a factor, such as lambda epoch: (10 - epoch) / 10, which scales each group's own rate"
            if function
            else "Let it begin at 1"
        )
        cure += "; or say each group's rate, ct.schedules.to_torch(optimizer, [rate, ...])"
    elif function:
        cure = (
            "Return a factor, such as lambda epoch: (10 - epoch) / 10; or keep the function f and write "
            f"ct.schedules.Rate.from_function(f).{to}"
        )
    one = "give the optimizer lr=1.0" if to == "to_torch(optimizer)" else "compile with a rate of 1.0"
    return Suspicion(
        Trap.SQUARED_RATE,
        f"{name} multiplies the optimizer's rate by what {what} gives, and {what} gives rates: {found.product} is the "
        f"rate{of_group} at epoch {found.step}{', the highest' if found.step else ''}. "
        f"{cure}{'' if of_group else f'; or {one}'}",
        found.numbers,
    )


def squared_product(base: float | Rate, factor: Schedule) -> Suspicion | None:
    """Suspect that a factor is a rate already, and becomes the square of one by what it is multiplied by.

    Args:
        base: a base rate, or a rate over steps.
        factor: what it is multiplied by.

    Example:
        >>> from choritsu.schedules import cosine
        >>> squared_product(1e-3, cosine(1e-3, 1e-5, steps=10)).numbers["rate"]
        1e-06
        >>> squared_product(1e-3, cosine(1e-3, 1.0, steps=10))
    """
    # Who scales a factor by a number knows that it is one.
    if is_meant(factor) or isinstance(factor.shape, Scale):
        return None
    if not isinstance(base, Rate) and not may_be_squared(base, None):
        return None
    values = over_all(factor.shape)
    # A number times a number is what it looks like.
    if len({value for _, value in values}) < 2 or not values[-1][1] < FACTOR:
        return None
    rate = max((value for _, value in over_all(base.shape)), default=0.0) if isinstance(base, Rate) else base
    found = _square(rate, values)
    if found is None:
        return None
    written = f"{base:.3g}" if not isinstance(base, Rate) else phrase(base.shape)
    cure = "Rate.from_function(f)" if functions_in(factor) else "1.0 * factor"
    return Suspicion(
        Trap.SQUARED_RATE,
        f"{written} times {factor!r} is at most {found.product} at step {found.step}: the factor is as small as a "
        f"rate. If it is one, write {cure}; else let the highest factor be 1",
        found.numbers,
    )


def squared_line(rates: Sequence[float], start: float, end: float, steps: int) -> Suspicion | None:
    """Suspect that the ends of PyTorch's `LinearLR` are rates, which begins or ends at that of the optimizer.

    Args:
        rates: of the optimizer's groups.
        start: its start_factor.
        end: its end_factor.
        steps: its length.

    Example:
        >>> squared_line([1e-3], 1e-4, 1e-3, 10).numbers
        {'base': 0.001, 'value': 0.001, 'rate': 1e-06}
        >>> squared_line([1e-3], 1e-3, 1.0, 10)
    """
    top = max(start, end)
    base = next((rate for rate in rates if math.isclose(top, rate, rel_tol=1e-3)), 0.0)
    if not 0 < top <= _TINY or not base or max(rates) >= FACTOR:
        return None
    return Suspicion(
        Trap.SQUARED_RATE,
        f"LinearLR multiplies the optimizer's rate by start_factor={start:.3g} to end_factor={end:.3g}, which look "
        f"like rates: {base:.3g} × {top:.3g} = {base * top:.3g} is the highest. Divide them by the rate, as in "  # noqa: RUF001
        f"start_factor={start / base:.3g}, end_factor={end / base:.3g}; or write "
        f"ct.schedules.Rate.linear({start:.3g}, {end:.3g}, steps={steps}).to_torch(optimizer)",
        {"base": base, "value": top, "rate": base * top},
    )


#: How far into what a function uses a rate is looked for.
_DEEP = 3
_MANY = 100


def gives_rates(function: Any, values: Iterable[Point]) -> bool:
    """Tell whether a function passes on what a `Rate` gives, unchanged: these are rates beyond doubt.

    Args:
        function: the user's.
        values: what it gave.

    Example:
        >>> rate = Rate.linear(0.1, 0.0, steps=10)
        >>> gives_rates(lambda epoch: rate(epoch), [(0, 0.1), (1, 0.09)])
        True
        >>> gives_rates(lambda epoch: rate(epoch) / 0.1, [(0, 1.0), (1, 0.9)])
        False
    """
    given = [(step, value) for step, value in values if value]
    return bool(given) and any(
        is_ours(rate) and all(_same(rate, step, value) for step, value in given) for rate in rates_in(function)
    )


def _same(rate: Rate, step: int, value: float) -> bool:
    return rate.is_bound and math.isclose(rate(step), value, rel_tol=1e-6)


def rates_in(function: Any) -> list[Rate]:
    """Find the rates that a function uses: by name, as a default, or of the objects it uses."""
    found: list[Rate] = []
    seen: set[int] = set()
    waiting = [(function, _DEEP)]
    while waiting and len(seen) < _MANY:
        thing, left = waiting.pop(0)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Rate):
            found.append(thing)
        elif left:
            waiting += [(part, left - 1) for part in _used(thing)]
    return found


def _used(thing: Any) -> Iterable[Any]:
    match thing:
        case types.FunctionType():
            cells = [cell.cell_contents for cell in thing.__closure__ or () if cell != types.CellType()]
            named = [thing.__globals__[name] for name in thing.__code__.co_names if name in thing.__globals__]
            defaults = [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
            return [*cells, *named, *defaults]
        case functools.partial():
            return [thing.func, *thing.args, *thing.keywords.values()]
        case types.MethodType():
            return [thing.__func__, thing.__self__]
        case list() | tuple():
            return list(thing[:_MANY])
        case dict():
            return list(thing.values())[:_MANY]
        case types.ModuleType() | type():
            return []
        case _ if is_node(thing):
            return functions_in(thing)
    # An object's own values; what it computes is not asked for.
    called = [type(thing).__call__] if callable(thing) else []
    return [*list(getattr(thing, "__dict__", {}).values())[:_MANY], *called]


def squared_in_group(
    base: float, values: Sequence[Point], group: int, *, name: str, function: bool
) -> Suspicion | None:
    """Suspect one group's factors of being rates, where those of another group are none.

    Groups are frozen, or slowed down, by factors as small as rates. Only what changes, and is at most the group's own
    rate, is suspected.

    Args:
        base: the group's rate.
        values: its factors, over all the training.
        group: its number, from 0.
        name: of the scheduler.
        function: whether the user wrote a function.

    Example:
        >>> rates, slow = [(0, 1e-3), (1, 9e-4)], [(0, 1e-3), (1, 1e-3)]
        >>> squared_in_group(1e-3, rates, 0, name="LambdaLR", function=True).numbers["rate"]
        1e-06
        >>> squared_in_group(1e-3, slow, 0, name="LambdaLR", function=True)
    """
    top = max((value for _, value in values), default=0.0)
    alike = math.isclose(top, base, rel_tol=1e-3) and base * top <= _NOTHING
    if not alike or len({value for _, value in values}) < 2:
        return None
    return squared(base, values, name=name, to="to_torch(optimizer)", function=function, group=group)


_ADAPTIVE = {
    "adam", "adamw", "nadam", "radam", "adamax", "sparseadam", "rmsprop", "lion", "lamb", "adafactor",
}  # fmt: skip
#: A rate of 1 is what these are made for.
_AT_ONE = {"adadelta", "lbfgs", "prodigy", "dadaptadam", "dadaptsgd", "dadaptadagrad"}
#: What they learn at where nobody says anything, and about where anybody would have them.
_USUAL, _LARGE = 1e-3, 0.01


def factor_as_rate(
    optimizer: str, compiled: float | None, values: Sequence[Point], *, name: str, to: To, function: bool = True
) -> Suspicion | None:
    """Suspect that rates are factors, and that training runs at a rate near 1.

    Args:
        optimizer: its class' name; empty where that is not known.
        compiled: the rate that it had before; None where that is not known.
        values: the rates it was given since, from the first epoch on.
        name: of the scheduler, as the user wrote it.
        to: what the framework's own object is made by.
        function: whether the user wrote a function, and not one of our rates.

    Example:
        >>> told = factor_as_rate("Adam", 1e-3, [(0, 1.0)], name="LearningRateScheduler", to="to_keras_callback()")
        >>> told.numbers["rate"]
        1.0
        >>> factor_as_rate("SGD", 0.01, [(0, 0.5)], name="LearningRateScheduler", to="to_keras_callback()")
    """
    kind = optimizer.lower()
    (_, first), (epoch, now) = values[0], values[-1]
    own = _USUAL if compiled is None and kind in _ADAPTIVE else compiled
    # Single precision makes a little more of 0.1 than it is.
    large = now >= FACTOR and (own is None or now >= 10 * own * (1 - 1e-6)) and (first == 0 or first >= LEAST_FACTOR)
    if kind in _AT_ONE or (own is not None and own <= 0):
        return None
    if not function:
        # A search draws rates of many digits, and finds out by itself which are too large.
        written = math.isclose(now, float(f"{now:.2g}"), rel_tol=1e-6)
        suspect = kind in _ADAPTIVE and large and written and own is not None and own <= _LARGE * (1 + 1e-6)
    elif kind in _ADAPTIVE and own is not None:
        suspect = large or (len(values) == 1 and now >= 0.1 and now > 100.001 * own)
    elif kind and own is not None:
        # SGD is trained at 0.5, and with large batches above 1; factors hardly exceed it.
        highest = max(rate for _, rate in values)
        suspect = large and math.isclose(highest, 1, rel_tol=1e-6) and now == highest
    else:
        suspect = not kind and large and now <= 1 and len(values) == 1
    if not suspect:
        return None
    base = f"{_USUAL:.3g}" if compiled is None else f"{compiled:.3g}"
    was = "" if compiled is None else f", where the optimizer had {compiled:.3g}"
    told = (
        f"{name} takes the learning rate itself, and the function gives {now:.3g} at epoch {epoch}{was}: that looks "
        f"like a factor of a rate. Return the rate, {base} * factor; or keep the function f and write "
        f"ct.schedules.Factor.from_function(f).{to}"
    )
    if not function:
        told = (
            f"{name} sets the learning rate itself, and gives {optimizer} {now:.3g} at step {epoch}{was}: that looks "
            "like a factor of a rate. A number times a factor is a rate, such as "
            f"{base} * factor; to scale a factor, which stays one, write factor.scaled({now:.3g}).{to}"
        )
    return Suspicion(Trap.FACTOR_AS_RATE, told, {"rate": now, **({} if compiled is None else {"compiled": compiled})})


def declared_rate(
    optimizer: str, compiled: float | None, shape: Shape, *, first: float | None = None, name: str, to: To
) -> Suspicion | None:
    """Suspect that what was declared a rate is a factor, over all its length.

    Args:
        optimizer: see `factor_as_rate`.
        compiled: likewise.
        shape: of the rate; a function in it that begins like a rate is not asked further.
        first: its first value, where that was asked for already.
        name: see `factor_as_rate`.
        to: likewise.

    Example:
        >>> half = Rate.linear(0.5, 0.0, steps=4).shape
        >>> declared_rate("Adam", 1e-3, half, name="rate.to_torch(...)", to="to_torch(optimizer)").numbers["rate"]
        0.5
        >>> declared_rate("SGD", 1e-3, half, name="rate.to_torch(...)", to="to_torch(optimizer)")
    """
    if is_meant(shape):
        return None
    function = not is_ours(shape)
    if function:
        values = [(0, first)] if first is not None else asked(shape, [0])
        if values and (values[0][1] == 0 or LEAST_FACTOR <= values[0][1] < FACTOR):
            found = factor_as_rate(optimizer, compiled, values, name=name, to=to)
            if found is not None:
                return found
            values += [point for point in over_all(shape) if point[0]]
    else:
        values = over_all(shape, math.inf)
        top = max(values, key=lambda point: point[1], default=None)
        values = [] if top is None else [values[0], top]
    return factor_as_rate(optimizer, compiled, values, name=name, to=to, function=function) if values else None


# -- a function of the epoch, applied to the rate in force -----------------------------------------


def compounds(ratios: Sequence[float]) -> bool:
    """Tell whether four ratios of one rate to the one before are a whole curve's, and not one epoch's.

    A curve c(k) that begins at 1 and is applied anew to what it has made already gives c(0), c(1), c(2), c(3) as
    ratios; each is about twice, then three times the first on a logarithmic scale, or four and nine times for a cosine.
    What is meant to be applied so gives equal ratios, or those of a curve's neighbours, c(k)/c(k - 1).

    Example:
        >>> compounds([1.0, 0.95, 0.9025, 0.857375]), compounds([1.0, 0.9, 0.9 - 0.1 / 9, 0.875])
        (True, False)
        >>> compounds([0.2, 0.4, 0.6, 0.8]), compounds([1.0, 0.95, 0.95, 0.95])
        (True, False)
    """
    if len(ratios) < 4 or not all(0 < ratio < math.inf for ratio in ratios[:4]):
        return False
    begin, *rest = ratios[:4]
    steps = [later - earlier for earlier, later in pairwise(ratios[:4])]
    rises = begin < 0.75 and all(math.isclose(step, begin, rel_tol=1e-3) for step in steps)
    if rises:
        return True
    if not math.isclose(begin, 1, rel_tol=1e-6):
        return False
    one, two, three = (math.log(ratio) for ratio in rest)
    if abs(three) < 0.01 or abs(one) < 1e-5:
        return False
    second, third = two / one, three / one
    return (1.5 <= second <= 2.6 and 1.9 <= third <= 5 and third > second) or (
        3.6 <= second <= 4.6 and 7.5 <= third <= 11
    )


def compounding(base: float, ratios: Sequence[float], *, name: str) -> Suspicion | None:
    """Suspect that a function of the epoch multiplies what it has multiplied before.

    Args:
        base: the rate before the first of them.
        ratios: of each epoch's rate to the one before, from epoch 0; four are enough.
        name: of the scheduler.

    Example:
        >>> compounding(1e-3, [1.0, 0.9, 0.81, 0.729], name="MultiplicativeLR").numbers["epochs"]
        4
    """
    if not compounds(ratios):
        return None
    now, wanted = base * math.prod(ratios[:4]), base * ratios[3]
    if name == "MultiplicativeLR":
        cure = "Write LambdaLR(optimizer, f) in its place, which multiplies the first rate by f(epoch)"
    else:
        cure = (
            f"Multiply a fixed rate, as in {base:.3g} * 0.95**epoch; or the one that is passed by the same number "
            "each epoch, as in lr * 0.95"
        )
    return Suspicion(
        Trap.COMPOUNDING,
        f"{name} applies the function to the rate in force, and the function changes with the epoch, which multiplies "
        f"its values up: the rate of epoch 3 is {now:.3g}, where {base:.3g} × {ratios[3]:.3g} = {wanted:.3g} is "  # noqa: RUF001
        f"what the function says. {cure}",
        {"rate": now, "wanted": wanted, "epochs": 4},
    )


def collapsing(base: float, values: Sequence[Point], *, name: str, certain: bool = False) -> Suspicion | None:
    """Suspect that a rate is multiplied up again and again.

    Args:
        base: the optimizer's rate.
        values: what it is multiplied by at steps 1, 2 and 3.
        name: of the scheduler.
        certain: they are known to be rates.
    """
    most = FACTOR if certain else _TINY
    if len(values) < 3 or not all(0 < value <= most for _, value in values):
        return None
    rates = base * values[0][1], base * values[0][1] * values[1][1]
    return Suspicion(
        Trap.SQUARED_RATE,
        f"{name} multiplies the rate in force by what the function gives, and the function gives rates: "
        f"{base:.3g} × {values[0][1]:.3g} = {rates[0]:.3g} after one step, "  # noqa: RUF001
        f"{rates[1]:.3g} after two. Keep the function f and write "
        "ct.schedules.Rate.from_function(f).to_torch(optimizer)",
        {"base": base, "value": values[0][1], "rate": rates[0]},
    )


_FIXED = {"initial", "init", "base", "start", "max", "min", "peak", "end", "final"}


def not_a_rate(function: Any, *, name: str = "LearningRateScheduler") -> Suspicion | None:
    """Suspect that Keras passes the rate into a parameter that is something else.

    Args:
        function: what the callback was given.
        name: of the callback.

    Example:
        >>> not_a_rate(lambda epoch, warmup=5: 1e-3).trap
        <Trap.NOT_A_RATE: 'not_a_rate'>
        >>> not_a_rate(lambda epoch, lr=1e-3: lr)
    """
    second = second_parameter(function)
    if second is None or isinstance(second.default, bool) or not isinstance(second.default, int | float):
        return None
    words = set(re.findall(r"[a-z]+|\d+", second.name.lower()))
    rate_like = words & {"lr", "rate", "lrate", "eta", "lrs"} or "learning" in second.name.lower()
    if rate_like and not (words & (_FIXED | {"0"})):
        return None
    return Suspicion(
        Trap.NOT_A_RATE,
        f"{name} calls the function as f(epoch, lr), so that {second.name} is the rate in force and never "
        f"{second.default!r}. Make it a keyword: def f(epoch, *, {second.name}={second.default!r}), which is called as "
        "f(epoch)",
        {"default": float(second.default)},
    )


def second_parameter(function: Any) -> inspect.Parameter | None:
    """Give the second parameter that a function takes by position, if it has one."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_position = [item for item in parameters if item.kind in kinds]
    return by_position[1] if len(by_position) > 1 else None


# -- lengths ---------------------------------------------------------------------------------------

#: What follows a schedule's end: it rises again, stays at nothing, stays where it is, or raises.
Past: TypeAlias = Literal["rises", "nothing", "holds", "error"]


@dataclass(frozen=True)
class Plan:
    """How long a schedule was made to be.

    Args:
        name: what it is called.
        length: steps until its end.
        past: what follows.
        warmup: steps that its rise takes, at its beginning.
        setting: the line that sets the length, with a gap for the number.
        drops: whether it is a list of drops, the last of them at `length`.
    """

    name: str
    length: float
    past: Past
    warmup: float = 0
    setting: str = "steps={}"
    drops: bool = False

    def asks(self, length: float) -> str:
        """Write the line that sets another length."""
        return self.setting.format(f"{length:.10g}")


def plan_of(shape: Shape) -> Plan | None:
    """Read how long a shape is; None where it has no end and no warm-up.

    Example:
        >>> from choritsu.schedules import linear
        >>> plan = plan_of(linear(1.0, 0.0, steps=9).warmup(1).shape)
        >>> plan.length, plan.past, plan.warmup
        (10, 'nothing', 1)
    """
    inner: Shape = shape
    while isinstance(inner, Scale | Quotient):
        inner = inner.part
    rise = inner.span if isinstance(inner, Warmup) and not isinstance(inner.span, Duration) else 0
    length = shape.length
    if not 0 < length < math.inf:
        return Plan(phrase(shape), rise, "holds", rise) if rise else None
    return Plan(phrase(shape), length, "nothing" if shape(length) == 0 else "holds", rise)


def against_horizon(plan: Plan, horizon: float, steps_per_epoch: float | None) -> Suspicion | None:
    """Compare a schedule with a training whose length is known.

    Args:
        plan: the schedule.
        horizon: how many of its steps the training has.
        steps_per_epoch: how many updates an epoch has, where known.

    Example:
        >>> plan = Plan("CosineAnnealingLR", 90, "rises", setting="T_max={}")
        >>> against_horizon(plan, 100, None).trap
        <Trap.HORIZON_SHORT: 'horizon_short'>
    """
    many = steps_per_epoch or 0
    if many >= 2 and _about(plan.length * many, horizon):
        return epochs_for_steps(plan, horizon)
    if many >= 2 and _about(plan.length, horizon * many):
        return steps_for_epochs(plan, horizon, plan.length)
    if plan.warmup >= horizon:
        return warmup_long(plan, horizon)
    if plan.drops:
        return None
    if plan.length < 0.95 * horizon and plan.past != "holds":
        return horizon_short(plan, horizon)
    return horizon_long(plan, horizon) if plan.length > 1.05 * horizon else None


def against_run(plan: Plan, used: int, stepped: int, updates: int, *, whole: bool = False) -> Suspicion | None:
    """Compare a schedule with a training that has ended, and might have been ended early.

    Args:
        plan: the schedule.
        used: its step at the last update.
        stepped: how often it went on, between the first update and the last.
        updates: how many updates there were.
        whole: it was surely not ended early.

    Example:
        >>> plan = Plan("CosineAnnealingLR", 10, "rises", setting="T_max={}")
        >>> against_run(plan, used=999, stepped=999, updates=1000).trap
        <Trap.EPOCHS_FOR_STEPS: 'epochs_for_steps'>
    """
    if updates < 2 or stepped < 1:
        return None
    total = used + 1
    each_update = stepped == updates - 1
    if plan.drops:
        return epochs_for_steps(plan, total) if each_update and total >= 20 * plan.length else None
    if plan.past in ("rises", "nothing") and each_update and total >= 5 * plan.length:
        # One that goes up and down is often meant to, and then seldom ends with the training.
        whole = plan.past == "nothing" or total % plan.length == 0
        return epochs_for_steps(plan, total) if whole else None
    if plan.past == "rises" and 1.07 * plan.length < used < 2 * plan.length:
        return horizon_short(plan, total)
    if plan.past == "nothing" and used >= max(1.02 * plan.length, plan.length + 1):
        return horizon_short(plan, total)
    if updates >= 5 * (stepped + 1) and 0.5 <= updates / plan.length <= 1.5:
        return steps_for_epochs(plan, total, updates)
    if plan.warmup > total:
        return warmup_long(plan, total)
    return horizon_long(plan, total) if whole and plan.length >= 3 * total else None


def _about(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=0.01)


def epochs_for_steps(plan: Plan, total: float) -> Suspicion:
    """Say that a schedule counts epochs and goes on with each update."""
    return Suspicion(
        Trap.EPOCHS_FOR_STEPS,
        f"{plan.name} ends at step {plan.length:g}, and goes on with each update, of which there are {total:g}: that "
        f"looks like a number of epochs. Count updates, {plan.asks(total)}"
        f"{'' if plan.setting.startswith('decay') else ', or call scheduler.step() once per epoch'}",
        {"length": plan.length, "horizon": total},
    )


def steps_for_epochs(plan: Plan, total: float, updates: float) -> Suspicion:
    """Say that a schedule counts updates and goes on with each epoch."""
    return Suspicion(
        Trap.EPOCHS_FOR_STEPS,
        f"{plan.name} ends at step {plan.length:g}, about as many as there are updates ({updates:g}), and goes on with "
        f"each epoch, {total:g} times in all. Step it after each update, or count epochs: {plan.asks(total)}",
        {"length": plan.length, "horizon": total, "updates": updates},
    )


def horizon_short(plan: Plan, total: float) -> Suspicion:
    """Say that a schedule ends before the training does."""
    what = {
        "rises": "the rate rises again",
        "nothing": "the rate is 0 and nothing is learnt",
        "error": "it raises an error",
        "holds": "the rate stays where it is",
    }[plan.past]
    return Suspicion(
        Trap.HORIZON_SHORT,
        f"{plan.name} ends at step {plan.length:g}, and the training has {total:g}: from there on {what}. Write "
        f"{plan.asks(total)}",
        {"length": plan.length, "horizon": total},
    )


def horizon_long(plan: Plan, total: float) -> Suspicion:
    """Say that a training ends before its schedule does."""
    return Suspicion(
        Trap.HORIZON_LONG,
        f"{plan.name} ends at step {plan.length:g}, and the training at {total:g}, {total / plan.length:.0%} of the "
        f"way: the rate never comes down to its end. Write {plan.asks(total)}",
        {"length": plan.length, "horizon": total},
    )


def warmup_long(plan: Plan, total: float) -> Suspicion:
    """Say that a training ends before its warm-up does."""
    return Suspicion(
        Trap.WARMUP_LONG,
        f"{plan.name} warms up for {plan.warmup:g} steps, and the training has {total:g}: the rate never gets where it "
        "is to begin. Shorten the warm-up, to about a tenth of the training, or train longer",
        {"warmup": plan.warmup, "horizon": total},
    )


# -- the rest --------------------------------------------------------------------------------------


def out_of_order(name: str, step: int, first: float | None, used: float) -> Suspicion:
    """Say that a scheduler was stepped before the optimizer's first update."""
    skipped = "its first rate" if first is None else f"its first rate, {first:.3g},"
    return Suspicion(
        Trap.ORDER,
        f"{name} was stepped before the optimizer: {skipped} is skipped, and the first update runs at {used:.3g}. Call "
        "optimizer.step() first, then scheduler.step()",
        {"step": step, "rate": used},
    )


def restarted(name: str, loaded: float, begins: float) -> Suspicion:
    """Say that an optimizer was loaded in the midst of a schedule that begins anew."""
    return Suspicion(
        Trap.RESTARTED,
        f"the optimizer was loaded with a rate of {loaded:.3g}, and {name} begins at step 0 again, at {begins:.3g}: "
        'the curve starts over. Load the scheduler too, scheduler.load_state_dict(checkpoint["scheduler"])',
        {"loaded": loaded, "begins": begins},
    )


def restarted_at_epoch(what: str, epoch: int, cure: str) -> Suspicion:
    """Say that training goes on at a later epoch and its rate begins anew."""
    return Suspicion(
        Trap.RESTARTED,
        f"training goes on at epoch {epoch}, and the optimizer has made no update yet: {what}. {cure}",
        {"epoch": epoch},
    )


def two_controllers(message: str) -> Suspicion:
    """Say that two things set one rate."""
    return Suspicion(Trap.TWO_CONTROLLERS, message)
