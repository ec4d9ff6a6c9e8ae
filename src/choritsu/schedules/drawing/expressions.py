"""Schedules written as Python would write them, read without running any of it."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from choritsu.errors import ScheduleError, UnitError
from choritsu.schedules import durations, named
from choritsu.schedules.durations import Duration
from choritsu.schedules.values import Factor, Rate, Schedule

#: A schedule that a person writes is shorter by far.
LONGEST = 2000

_SHAPES = ("constant", "cosine", "exponential", "inverse", "linear", "piecewise", "polynomial")
_NAMED = ("cyclic", "inverse_sqrt", "noam", "one_cycle", "restarts", "wsd")

#: What may be called, by name. Nothing here reads a file, imports, or calls what it is given.
BUILDERS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(Factor, name) for name in _SHAPES},
    **{name: getattr(named, name) for name in _NAMED},
    **{f"{kind.__name__}.{name}": getattr(kind, name) for kind in (Rate, Factor) for name in _SHAPES},
    "Rate": Rate,
    "Factor": Factor,
    "epochs": durations.epochs,
    "share": durations.share,
}

#: Which methods of a schedule may be called.
METHODS = ("after", "bind", "clip", "raised", "repeat", "scaled", "shift", "then", "warmup")

_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def read_schedule(text: str) -> Schedule:
    """Read a schedule from an expression or from JSON.

    Numbers and their arithmetic, calls of the functions of ``choritsu.schedules`` by name, and the methods after, bind,
    clip, raised, repeat, scaled, shift, then and warmup. Whatever else Python could do is refused, and nothing is run.

    Args:
        text: such as ``"0.1 * cosine(steps=90).warmup(10)"``, or what ``schedule.to_json()`` gives.

    Returns:
        A `Rate` or a `Factor`.

    Raises:
        ScheduleError: when it cannot be read, or is no schedule.
        UnitError: when it mixes rates and factors.

    Example:
        >>> read_schedule("0.1 * cosine(steps=90).warmup(10)")
        Rate(0.1 * warmup(cosine(1, 0, steps=90), steps=10))
        >>> read_schedule(Rate(0.1).to_json())
        Rate(constant(0.1))
        >>> read_schedule("__import__('os').getcwd()")
        Traceback (most recent call last):
        choritsu.errors.ScheduleError: ...
    """
    text = text.strip()
    if not text:
        raise ScheduleError("the text is empty; write a schedule such as 0.1 * cosine(steps=100)")
    if len(text) > LONGEST and not text.startswith("{"):
        raise ScheduleError(f"an expression has at most {LONGEST} characters, got {len(text)}; longer ones go as JSON")
    try:
        value = Schedule.from_json(text) if text.startswith("{") else _read(_parsed(text))
    except (ScheduleError, UnitError):
        raise
    # A number of the wrong kind deep inside, or one too large, in whichever way it shows.
    except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise ScheduleError(f"{_cut(text)} cannot be read as a schedule: {error}") from None
    if not isinstance(value, Schedule):
        raise ScheduleError(
            f"{_cut(text)} is {_kind(value)} and no schedule; write one such as Rate(0.1) or 0.1 * linear(steps=100)"
        )
    return value


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        place = f", at character {error.offset}" if error.offset else ""
        raise ScheduleError(f"{_cut(text)} cannot be read{place}: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise ScheduleError(f"{_cut(text)} cannot be read: {error or type(error).__name__}") from None


def _read(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name(id="inf") | ast.Attribute(value=ast.Name(id="math"), attr="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_countable(_read(operand), node)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_countable(_read(left), left), _countable(_read(right), right))
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_read(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            if None in keys:
                raise ScheduleError("** is not read here; write the steps and values one by one")
            return {_countable(_read(key), key): _read(value) for key, value in zip(keys, values, strict=True) if key}
        case ast.Call():
            return _called(node)
        case _:
            raise ScheduleError(_refusal(node))


def _called(node: ast.Call) -> Any:
    if any(isinstance(argument, ast.Starred) for argument in node.args) or any(not one.arg for one in node.keywords):
        raise ScheduleError(f"{_source(node)}: * and ** are not read here; write the arguments one by one")
    function = _function(node.func)
    arguments = [_read(argument) for argument in node.args]
    keywords = {str(one.arg): _read(one.value) for one in node.keywords}
    try:
        return function(*arguments, **keywords)
    except (ScheduleError, UnitError):
        raise
    except TypeError as error:
        raise ScheduleError(f"{_source(node)}: {error}") from None


def _function(node: ast.expr) -> Callable[..., Any]:
    dotted = _dotted(node)
    if dotted is not None:
        name = dotted.removeprefix("choritsu.").removeprefix("ct.").removeprefix("schedules.")
        if name in BUILDERS:
            return BUILDERS[name]
        known = ", ".join(name for name in BUILDERS if "." not in name)
        raise ScheduleError(f"{dotted} is not known here; known are {known}")
    if isinstance(node, ast.Attribute):
        if node.attr not in METHODS:
            raise ScheduleError(f".{node.attr}() is not read here; of a schedule's methods these are: {_or(METHODS)}")
        schedule = _read(node.value)
        if not isinstance(schedule, Schedule):
            raise ScheduleError(f"{_source(node.value)} is {_kind(schedule)}, and has no .{node.attr}()")
        method: Callable[..., Any] = getattr(schedule, node.attr)
        return method
    raise ScheduleError(_refusal(node))


def _dotted(node: ast.expr) -> str | None:
    """Give a name with dots as text; None where it is the attribute of something that is computed."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _countable(value: Any, node: ast.expr) -> Any:
    """Refuse to calculate with texts and lists: ``9 * [9 * [...]]`` would grow beyond the memory."""
    if isinstance(value, int | float | Duration | Schedule) and not isinstance(value, bool):
        return value
    raise ScheduleError(f"{_source(node)} is {_kind(value)}, where a number or a schedule is wanted")


def _refusal(node: ast.expr) -> str:
    return (
        f"{_source(node)} is not read here; a schedule is written with numbers, functions such as "
        "cosine(steps=100), and methods such as .warmup(10)"
    )


def _source(node: ast.expr) -> str:
    return _cut(ast.unparse(node))


def _kind(value: Any) -> str:
    if isinstance(value, Duration):
        return "a length"
    return {int: "a number", float: "a number", str: "a text", list: "a list", dict: "a dict"}.get(
        type(value), type(value).__name__
    )


def _or(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
