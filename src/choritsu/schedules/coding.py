"""Shapes as JSON and as text."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, cast, get_args

from choritsu.errors import ScheduleError
from choritsu.schedules.durations import Duration
from choritsu.schedules.shapes import NODES, Afterwards, Between, Ease, Function, Join, Shape, everything_in, is_node


def encoded(shape: Shape) -> dict[str, Any]:
    """Give a shape as plain JSON values.

    Raises:
        ScheduleError: when it holds a user's function, which is code and no value.

    Example:
        >>> from choritsu.schedules.shapes import Polynomial
        >>> encoded(Polynomial(1.0, 0.0, 10))
        {'kind': 'polynomial', 'start': 1.0, 'end': 0.0, 'span': 10, 'power': 1.0, 'ease': 'out'}
    """
    if any(isinstance(node, Function) for node in everything_in(shape)):
        raise ScheduleError(
            "the schedule holds a function, which cannot be written down; write down what it gives instead: "
            "schedule.tabulated(steps=...)"
        )
    return cast(dict[str, Any], _encode(shape))


def _encode(value: Any) -> Any:
    if isinstance(value, Duration):
        parts = {name: getattr(value, name) for name in ("steps", "epochs", "share")}
        return {name: part for name, part in parts.items() if part}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if is_node(value):
        described = {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__.lower(), **described}
    return "inf" if value == math.inf else value


def decoded(data: Any) -> Shape:
    """Read what `encoded` gave.

    Raises:
        ScheduleError: when it is something else.
    """
    shape = _decode(data)
    if not is_node(shape):
        raise ScheduleError(f"no schedule can be read from {data!r}")
    return cast(Shape, shape)


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return math.inf if value == "inf" else value
    rest = {name: _decode(item) for name, item in value.items() if name != "kind"}
    kind = value.get("kind")
    if kind is None and set(rest) <= {"steps", "epochs", "share"} and all(map(_is_finite, rest.values())):
        return Duration(**rest)
    # What a file says is never called: a function cannot be read from one.
    kinds = {node.__name__.lower(): node for node in NODES if node is not Function}
    if not isinstance(kind, str) or kind not in kinds:
        raise ScheduleError(f"a schedule of an unknown kind, {kind!r}; known are {', '.join(sorted(kinds))}")
    known = {field.name for field in fields(kinds[kind])}
    if not set(rest) <= known:
        raise ScheduleError(f"{kind} has {', '.join(sorted(known))}, got {', '.join(sorted(set(rest) - known))}")
    for name, item in rest.items():
        if not _fits(kind, name, item):
            raise ScheduleError(f"{kind} cannot be read: {name} is {item!r:.80}")
    try:
        return kinds[kind](**rest)
    except TypeError as error:
        raise ScheduleError(f"{kind} cannot be read: {error}") from None


def _fits(kind: str, name: str, value: Any) -> bool:
    """Tell whether a shape may have such a field; what made it checked its own, and a file may say anything."""
    match name:
        case "part" | "left" | "right":
            return is_node(value)
        case "parts":
            return isinstance(value, tuple) and all(map(is_node, value))
        case "staircase" | "from_zero":
            return isinstance(value, bool)
        case "ease" | "between" | "then":
            return value in {"ease": get_args(Ease), "between": get_args(Between), "then": get_args(Afterwards)}[name]
        case "at":
            return isinstance(value, tuple) and all(isinstance(item, Duration) or _is_amount(item) for item in value)
        case "values":
            return isinstance(value, tuple) and all(map(_is_amount, value))
        case "by" if kind == "shift":
            return isinstance(value, Duration) or _is_finite(value)
        case "span" | "every":
            return isinstance(value, Duration) or (_is_amount(value) and value > 0)
        case "power" | "stretch" | "scale":
            return _is_amount(value) and value > 0
    return _is_amount(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def phrase(shape: Shape) -> str:
    """Write a shape as a person would read it.

    Example:
        >>> from choritsu.schedules.shapes import Polynomial, Scale
        >>> phrase(Scale(Polynomial(1.0, 0.0, 10), 0.1))
        '0.1 * linear(1, 0, steps=10)'
    """
    name, arguments = type(shape).__name__.lower(), []
    values = {field.name: getattr(shape, field.name) for field in fields(cast(Any, shape))}
    if name == "scale":
        return f"{values['by']:.6g} * {_operand(values['part'])}"
    if name == "quotient":
        return f"{_operand(values['part'])} / {values['by']:.6g}"
    if name == "product":
        return f"{_operand(values['left'])} * {_operand(values['right'])}"
    if name == "function":
        function = values["function"]
        return f"from_function({getattr(function, '__qualname__', None) or type(function).__name__})"
    if name == "join":
        first, *others = values["parts"]
        return phrase(first) + "".join(
            f", from {_text(at)}: {_operand(part)}" for at, part in zip(values["at"], others, strict=True)
        )
    if name == "polynomial" and values["power"] == 1:
        name = "linear"
        del values["power"], values["ease"]
    defaults = {field.name: field.default for field in fields(cast(Any, shape))}
    for key, value in values.items():
        if key in ("start", "end", "value", "part", "decay"):
            arguments.append(_text(value))
        elif value != defaults[key]:
            arguments.append(f"{'steps' if key == 'span' else key}={_text(value)}")
    return f"{name}({', '.join(arguments)})"


def _operand(shape: Shape) -> str:
    # What is joined would run on into what surrounds it.
    return f"({phrase(shape)})" if isinstance(shape, Join) else phrase(shape)


def _text(value: Any) -> str:
    if is_node(value):
        return phrase(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_text(item) for item in value)}]"
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.6g}"
    return repr(value)
