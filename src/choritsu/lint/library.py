"""Functions of Python, math, NumPy and the frameworks that schedules are made of, over units and numbers."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from choritsu.lint import quantities as q
from choritsu.lint.quantities import Quantity
from choritsu.lint.things import Frame, Items, Made, Reader, Table, Truth, Value

_KEEPING: Mapping[str, Callable[[float], float]] = MappingProxyType({
    "float": float, "int": math.trunc, "abs": abs, "fabs": abs, "floor": math.floor, "ceil": math.ceil,
    "round": round, "rint": round, "trunc": math.trunc, "float32": float, "float64": float, "tensor": float,
    "constant": float, "convert_to_tensor": float, "array": float, "asarray": float, "as_tensor": float, "cast": float,
    "get_value": float, "item": float, "numpy": float, "Tensor": float, "FloatTensor": float, "double": float,
    "Decimal": float, "Fraction": float, "squeeze": float, "eval": float,
})  # fmt: skip
_PLAIN: Mapping[str, Callable[[float], float]] = MappingProxyType({
    "exp": math.exp, "log": math.log, "log2": math.log2, "log10": math.log10, "log1p": math.log1p, "sin": math.sin,
    "cos": math.cos, "tan": math.tan, "tanh": math.tanh, "expm1": math.expm1, "erf": math.erf, "cosh": math.cosh,
    "degrees": math.degrees, "radians": math.radians, "sign": lambda x: math.copysign(1, x),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "exp2": lambda x: 2.0**x,
})  # fmt: skip
#: Modules whose functions these are, by the names they usually go by.
MODULES = frozenset("math np numpy tf tensorflow torch K backend keras jnp jax onp cmath m ops cp scipy F".split())


def computed(last: str, path: str, node: ast.Call, frame: Frame, reader: Reader) -> Value | None:
    """Compute what a function of Python, math, NumPy or a framework gives; None if it is none that is known.

    Args:
        last: the function's own name.
        path: its dotted name, as used.
        node: the call.
        frame: where it stands.
        reader: tells what the arguments are.
    """
    parts = node.args
    if last in ("item", "numpy", "eval", "squeeze") and isinstance(node.func, ast.Attribute) and not parts:
        return reader.quantity(node.func.value, frame)
    if "." in path and path.partition(".")[0] not in MODULES and last not in ("get_value", "interp"):
        return None
    if last in ("array", "asarray", "tensor", "concatenate", "linspace", "cat", "hstack", "append") and parts:
        listed = _array(reader, last, parts, frame)
        if listed is not None:
            return listed
    if last in _KEEPING and parts:
        function = _KEEPING[last]
        return q.kept(lambda x: float(function(x)), reader.quantity(parts[0], frame))
    if last in _PLAIN and len(parts) == 1:
        function = _PLAIN[last]
        return q.applied(function, reader.quantity(parts[0], frame))
    if last == "log" and len(parts) == 2:
        return q.unnamed()
    if last == "sqrt" and parts:
        return q.power(reader.quantity(parts[0], frame), q.written(0.5))
    if last == "square" and parts:
        return q.power(reader.quantity(parts[0], frame), q.written(2.0))
    if last in ("pow", "power") and len(parts) >= 2:
        return q.power(reader.quantity(parts[0], frame), reader.quantity(parts[1], frame))
    if last in ("multiply", "mul") and len(parts) == 2:
        return q.times(reader.quantity(parts[0], frame), reader.quantity(parts[1], frame))
    if last in ("divide", "div", "truediv") and len(parts) == 2:
        return q.over(reader.quantity(parts[0], frame), reader.quantity(parts[1], frame))
    if last in ("min", "max", "minimum", "maximum") and parts:
        return _extreme(reader, min if last.startswith("min") else max, parts, frame)
    if last in ("clip", "clamp") and len(parts) == 3:
        return _clipped([reader.quantity(part, frame) for part in parts])
    if last == "interp" and len(parts) >= 3:
        return _interpolated(reader, parts, frame)
    if last == "where" and len(parts) == 3:
        return q.joined(reader.quantity(part, frame) for part in parts[1:])
    if last in ("list", "tuple", "sorted", "set", "iter", "filter", "reversed") and parts:
        values = reader.values(parts[-1], frame)
        return next((value for value in values if isinstance(value, Items | Made)), None)
    if last == "dict" and not parts:
        words = [(word.arg, reader.values(word.value, frame)) for word in node.keywords if word.arg is not None]
        entries = tuple((name, reader.one(reader.named(name, values))) for name, values in words)
        return Table(entries, open=len(words) < len(node.keywords))
    if last == "len":
        return q.unnamed(_length(reader, parts, frame), sure=_length(reader, parts, frame) is not None)
    if last == "bool":
        return Truth(reader.test(parts[0], frame) if parts else False)
    return None


def _array(reader: Reader, last: str, parts: Sequence[ast.expr], frame: Frame) -> Items | None:
    if last == "linspace" and len(parts) >= 2:
        return Items(tuple(reader.quantity(part, frame) for part in parts[:2]), open=True, array=True)
    if last == "append":
        values: list[Value] = [value for part in parts for value in reader.values(part, frame)]
    else:
        values = reader.values(parts[0], frame)
    if not any(isinstance(value, Items) for value in values):
        return None
    items: list[Value] = []
    unfinished = last in ("concatenate", "cat", "hstack", "append")
    for value in values:
        for item in value.items if isinstance(value, Items) else (value,):
            items.extend(item.items if isinstance(item, Items) else (item,))
    unfinished = unfinished or any(isinstance(value, Items) and value.open for value in values)
    return Items(tuple(items), unfinished, array=True)


def _length(reader: Reader, parts: Sequence[ast.expr], frame: Frame) -> float | None:
    match reader.values(parts[0], frame) if parts else []:
        case [Items(items, False)]:
            return float(len(items))
    return None


def _extreme(reader: Reader, choose: Callable[..., float], parts: Sequence[ast.expr], frame: Frame) -> Quantity:
    terms: list[Quantity] = []
    for part in parts:
        for value in reader.values(part, frame):
            if isinstance(value, Items):
                terms.extend(reader.number(item) for item in value.items)
            else:
                terms.append(reader.number(value))
    numbers = [term.number for term in terms]
    known = [number for number in numbers if number is not None]
    result = q.bounded(terms, choose(known) if known and len(known) == len(numbers) else None)
    # ``max(1, steps)`` and ``max(0.0, factor)`` only guard; a bound of 0 or 1 has no unit of its own.
    guarded = [term for term in terms if not term.literal]
    if len(guarded) == 1 and all(term.number in (0.0, 1.0) for term in terms if term.literal):
        return replace(guarded[0], number=result.number)
    return result


def _clipped(terms: list[Quantity]) -> Quantity:
    value, low, high = (term.number for term in terms)
    number = None if value is None or low is None or high is None else min(max(value, low), high)
    free = [term for term in terms if not (term.literal and term.number in (0.0, 1.0))]
    return q.bounded(free or terms, number)


def _interpolated(reader: Reader, parts: Sequence[ast.expr], frame: Frame) -> Quantity:
    x = reader.quantity(parts[0], frame)
    tables = [reader.values(part, frame) for part in parts[1:3]]
    match tables:
        case [[Items(xs, False)], [Items(ys, False)]] if len(xs) == len(ys) > 0:
            heights = [reader.number(y) for y in ys]
            places = [reader.number(place).number for place in xs]
            common = q.same_unit([height for height in heights if height.number != 0.0] or heights, None)
            numbers = [height.number for height in heights]
            number = _interpolate(x.number, places, numbers)
            return replace(common, number=number, counter=x.counter, literal=common.literal and not x.counter)
    return q.UNKNOWN


def _interpolate(x: float | None, places: Sequence[float | None], heights: Sequence[float | None]) -> float | None:
    xs = [place for place in places if place is not None]
    ys = [height for height in heights if height is not None]
    if x is None or len(xs) != len(places) or len(ys) != len(heights):
        return None
    if x <= xs[0]:
        return ys[0]
    for left, right, low, high in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if left <= x <= right:
            return low + (high - low) * (x - left) / (right - left) if right > left else high
    return ys[-1]
