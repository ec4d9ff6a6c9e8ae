"""This library's own values: which of its functions give a factor, and which a rate."""

from __future__ import annotations

import ast
from dataclasses import replace

from choritsu.lint import quantities as q
from choritsu.lint.imports import origin
from choritsu.lint.names import Names, Site, dotted
from choritsu.lint.things import Frame, Function, Reader, Schedule, Stranger, Value

_CURVES = frozenset("linear polynomial cosine exponential inverse piecewise constant".split())
_FACTORS = _CURVES | frozenset("one_cycle wsd inverse_sqrt noam cyclic restarts from_transformers Factor".split())
_RATES = frozenset("from_keras from_optax Rate".split())
_MADE = _CURVES | {"from_function", "from_json"}
#: Methods that give a schedule of the same kind.
_KEEPING = frozenset("scaled raised then warmup repeat after shift clip bind tabulated".split())
#: What leaves the numbers of a schedule as they are.
_NUMBERS = frozenset("warmup after shift bind tabulated".split())
#: The numbers that our curves run between, in their places.
_ENDS = {
    "linear": ("start", "end"),
    "polynomial": ("start", "end"),
    "cosine": ("start", "end"),
    "exponential": ("start",),
    "inverse": ("start",),
}
#: These need not change from one step to the next as a whole curve does.
_STEPS = frozenset("piecewise constant from_function from_json Factor cyclic from_transformers".split())


def imported(names: Names) -> bool:
    """Tell whether a file imports this library.

    Args:
        names: of the file.
    """
    return any(
        binding.kind == "import" and binding.origin.partition(".")[0] == "choritsu"
        for scope in names.scopes.values()
        for bindings in scope.bindings.values()
        for binding in bindings
    )


def made(node: ast.Call, site: Site, names: Names) -> Schedule | None:
    """Give the schedule that a call of one of our functions makes; None if it is none.

    Args:
        node: the call.
        site: where it stands.
        names: of the file.

    Example:
        >>> from choritsu.lint.names import collect
        >>> names = collect(ast.parse("import choritsu as ct; ct.schedules.linear(steps=3)"))
        >>> made(names.calls[0].node, names.calls[0].site, names).unit
        0
    """
    path = dotted(node.func)
    full = origin(path, site, names) if path else None
    if full is None or full.partition(".")[0] != "choritsu":
        return _tuned(node)
    *_, before, last = full.split(".")
    if before in ("Rate", "Factor") and last in _MADE:
        if last == "from_function" and (not node.args or isinstance(node.args[0], ast.List | ast.Tuple)):
            return None
        return Schedule(int(before == "Rate"), varies=last not in _STEPS)
    if last in _RATES:
        return Schedule(1)
    return Schedule(0, varies=last not in _STEPS) if last in _FACTORS else None


def _tuned(node: ast.Call) -> Schedule | None:
    owner = dotted(node.func).rpartition(".")
    return Schedule(1) if owner[2] == "LearningRate" and owner[0].rpartition(".")[2] in ("hp", "hps") else None


def filled(schedule: Schedule, node: ast.Call, frame: Frame, reader: Reader) -> Schedule:
    """Add what a schedule is made of, as far as that is in sight.

    Args:
        schedule: without it.
        node: the call that makes it.
        frame: where it stands.
        reader: tells what the arguments are.
    """
    last = dotted(node.func).rpartition(".")[2]
    if last == "from_function" and node.args:
        found = reader.values(node.args[0], frame)
        plain = tuple(value for value in found if isinstance(value, Function))
        return replace(schedule, functions=plain if len(plain) == len(found) else ())
    words = {word.arg: word.value for word in node.keywords}
    ends: list[q.Quantity] = []
    for place, word in enumerate(_ENDS.get(last, ())):
        given = node.args[place] if len(node.args) > place else words.get(word)
        if isinstance(given, ast.Starred):
            return schedule
        default = q.written(1.0 if word == "start" else 0.0)
        ends.append(default if given is None else reader.quantity(given, frame))
    return replace(schedule, ends=tuple(ends))


def continued(node: ast.Call, frame: Frame, reader: Reader) -> Schedule | None:
    """Give the schedule that a schedule's own method makes; None if it is none.

    Args:
        node: the call.
        frame: where it stands.
        reader: tells what its object is.
    """
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _KEEPING:
        return None
    match reader.values(node.func.value, frame):
        case [Schedule() as schedule]:
            kept = node.func.attr in _NUMBERS
            return schedule if kept else replace(schedule, ends=(), functions=(), base=None)
    return None


def combined(op: ast.operator, left: Value, right: Value) -> Value:
    """Multiply or divide, where one of the two is a schedule.

    Args:
        op: the operator.
        left: what stands before it.
        right: what stands after it.
    """
    match op, left, right:
        case ast.Mult(), Schedule(unit=one), Schedule(unit=other):
            return Schedule(one + other) if one + other < 2 else q.UNKNOWN
        case (ast.Mult(), Schedule(unit=0) as factor, by) | (ast.Mult(), by, Schedule(unit=0) as factor):
            if not _is_number(by):
                return q.UNKNOWN
            base = by if isinstance(by, q.Quantity) else None
            return replace(factor, unit=1, base=base)
        case ast.Div(), Schedule(unit=1, varies=varies), by if _is_number(by):
            return Schedule(0, varies)
    return q.UNKNOWN


def _is_number(value: Value) -> bool:
    """Tell a number from what may be a schedule of another file."""
    if isinstance(value, Stranger):
        return q.rate_like(value.path)
    return isinstance(value, q.Quantity) and (value.number is not None or value.unit == 1)


def asked(schedule: Schedule, node: ast.Call) -> q.Quantity:
    """Give what a schedule gives for a step.

    Args:
        schedule: the schedule.
        node: the call.
    """
    name = dotted(node.func) or "rate"
    rates = frozenset((name,)) if schedule.unit else frozenset[str]()
    return q.Quantity(sure=False, unit=schedule.unit, counter=True, rates=rates, planned=bool(schedule.unit))
