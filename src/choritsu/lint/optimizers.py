"""Which optimizer a schedule drives, and which rates its parameter groups start from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from choritsu.lint import quantities as q
from choritsu.lint.names import Scope, Site, dotted
from choritsu.lint.quantities import Quantity
from choritsu.lint.things import Class, Frame, Function, Items, Made, Stranger, Table, Text, Value
from choritsu.lint.values import Evaluator

#: What PyTorch takes when no rate is given.
TORCH_DEFAULTS = {
    "adam": 1e-3, "adamw": 1e-3, "adamax": 2e-3, "nadam": 2e-3, "radam": 1e-3, "sparseadam": 1e-3, "rmsprop": 1e-2,
    "adagrad": 1e-2, "adadelta": 1.0, "asgd": 1e-2, "rprop": 1e-2, "lbfgs": 1.0, "sgd": 1e-3, "adafactor": 1e-2,
}  # fmt: skip
KERAS_DEFAULTS = {
    "adam": 1e-3, "adamw": 1e-3, "adamax": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "adagrad": 1e-3, "ftrl": 1e-3,
    "sgd": 1e-2, "lion": 1e-3, "adafactor": 1e-3,
}  # fmt: skip
_GROUPED = re.compile(r"group|get_param|param_dict|optim|policies|lr", re.IGNORECASE)
#: Attributes under which modules list their parameters, all alike.
_PLAIN_METHODS = frozenset("parameters named_parameters trainable_variables trainable_weights values items".split())
_PASSING = frozenset("list tuple iter filter chain sorted set sum map from_iterable".split())


@dataclass(frozen=True)
class Optimizer:
    """An optimizer as this file makes it.

    Args:
        rates: the starting rates of its parameter groups, as far as seen.
        hidden: there may be groups with rates of their own, out of sight.
        grouped: some group states its own rate.
        text: how it was made, briefly.
    """

    rates: tuple[Quantity, ...]
    hidden: bool
    grouped: bool
    text: str


@dataclass(frozen=True)
class _Groups:
    own: tuple[Quantity, ...] = ()
    plain: bool = False
    hidden: bool = False

    def __add__(self, other: _Groups) -> _Groups:
        return _Groups(self.own + other.own, self.plain or other.plain, self.hidden or other.hidden)


_PLAIN = _Groups(plain=True)
_HIDDEN = _Groups(hidden=True)


def torch_optimizers(node: ast.expr, frame: Frame, evaluator: Evaluator) -> list[Optimizer]:
    """Find how the optimizer that an expression names was made; empty if that is not in sight.

    Args:
        node: the expression.
        frame: where it stands.
        evaluator: of the same file.
    """
    evaluator.fresh()
    found: list[Optimizer] = []
    for made in _made(evaluator.values(node, frame), evaluator, 0):
        evaluator.fresh()
        optimizer = _torch_optimizer(made, dotted(node), evaluator)
        if optimizer is not None and optimizer not in found:
            found.append(optimizer)
    return found


def _made(values: Iterable[Value], evaluator: Evaluator, depth: int) -> Iterable[Made]:
    for value in values:
        if not isinstance(value, Made):
            continue
        words = {word.arg for word in value.node.keywords}
        inner: list[Made] = []
        if not words & {"lr", "learning_rate"} and _kind(value) not in TORCH_DEFAULTS and depth < 4:
            # A wrapper around an optimizer: distributed, half precision, look-ahead.
            for argument in (*value.node.args, *(w.value for w in value.node.keywords if w.arg == "optimizer")):
                if isinstance(argument, ast.Name | ast.Attribute | ast.Call):
                    candidates = evaluator.values(argument, value.frame)
                    inner.extend(made for made in _made(candidates, evaluator, depth + 1) if _is_optimizer(made))
        yield from inner or [value]


def _kind(made: Made) -> str:
    return dotted(made.node.func).rpartition(".")[2].lower()


def _is_optimizer(made: Made) -> bool:
    words = {word.arg for word in made.node.keywords}
    return _kind(made) in TORCH_DEFAULTS or bool(words & {"lr", "learning_rate"})


def _torch_optimizer(made: Made, name: str, evaluator: Evaluator) -> Optimizer | None:
    node, frame = made.node, made.frame
    words: dict[str, list[Value]] = {}
    unseen = False
    for word in node.keywords:
        if word.arg is not None:
            words[word.arg] = evaluator.values(word.value, frame)
            continue
        tables = [value for value in evaluator.values(word.value, frame) if isinstance(value, Table)]
        unseen = unseen or not tables or any(table.open for table in tables)
        for table in tables:
            for key, value in table.entries:
                words.setdefault(str(key), []).append(value)
    kind = _kind(made)
    given = words.get("lr", words.get("learning_rate"))
    rate: Quantity | None = None
    if given is not None:
        rate = evaluator.as_quantity(given)
        if rate.number is None and rate.unit == 0 and not rate.rates:
            # Whatever it is called, it is what the optimizer takes as its rate.
            rate = q.rate("lr")
    elif kind in TORCH_DEFAULTS and len(node.args) > 1 and not isinstance(node.args[1], ast.Starred):
        rate = evaluator.quantity(node.args[1], frame)
    elif kind in TORCH_DEFAULTS and not unseen:
        rate = q.written(TORCH_DEFAULTS[kind])
    elif kind not in TORCH_DEFAULTS and not unseen:
        return None
    source = node.args[0] if node.args else next((w.value for w in node.keywords if w.arg == "params"), None)
    groups = _HIDDEN if source is None else _groups(source, frame, evaluator, 0)
    for addition in evaluator.names.additions.get(name, ()) if name else ():
        if "param" in ast.unparse(addition.value):
            groups += _groups(addition.value, Frame(addition.site), evaluator, 0)
    rates = list(groups.own)
    if groups.plain or not groups.own:
        rates.append(rate if rate is not None else q.UNKNOWN)
    callee = dotted(node.func).rpartition(".")[2] or "the optimizer"
    return Optimizer(tuple(dict.fromkeys(rates)), groups.hidden or rate is None, bool(groups.own), callee)


def _groups(node: ast.expr, frame: Frame, evaluator: Evaluator, depth: int) -> _Groups:
    """Look for parameter groups with rates of their own."""
    if depth > 8:
        return _HIDDEN
    again = depth + 1
    match node:
        case ast.List() | ast.Tuple():
            found = _Groups(plain=not node.elts)
            for part in node.elts:
                found += _groups(part, frame, evaluator, again)
            return found
        case ast.Dict():
            return _group(node, frame, evaluator)
        case ast.Starred():
            return _groups(node.value, frame, evaluator, again)
        case ast.BinOp(op=ast.Add()):
            return _groups(node.left, frame, evaluator, again) + _groups(node.right, frame, evaluator, again)
        case ast.IfExp():
            return _groups(node.body, frame, evaluator, again) + _groups(node.orelse, frame, evaluator, again)
        case ast.ListComp() | ast.GeneratorExp():
            if isinstance(node.elt, ast.Dict):
                return _group(node.elt, frame, evaluator)
            return _groups(node.generators[0].iter, frame, evaluator, again)
        case ast.Call():
            return _called_groups(node, frame, evaluator, again)
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return _named_groups(node, frame, evaluator, again)
    return _HIDDEN


def _group(node: ast.Dict, frame: Frame, evaluator: Evaluator) -> _Groups:
    if any(key is None for key in node.keys):
        return _HIDDEN
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "lr":
            return _Groups(own=(evaluator.quantity(value, frame),))
    return _PLAIN


def _called_groups(node: ast.Call, frame: Frame, evaluator: Evaluator, depth: int) -> _Groups:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func).rpartition(".")[2]
    if name in _PASSING and node.args:
        found = _Groups()
        for part in node.args:
            if not isinstance(part, ast.Lambda | ast.Constant):
                found += _groups(part, frame, evaluator, depth)
        return found
    if name == "dict":
        for word in node.keywords:
            if word.arg == "lr":
                return _Groups(own=(evaluator.quantity(word.value, frame),))
        return _PLAIN if all(word.arg for word in node.keywords) else _HIDDEN
    defined = evaluator.names.functions.get(name, ())
    if defined:
        return _defined_groups(defined, evaluator)
    if len(node.args) == 1 and not _GROUPED.search(name) and isinstance(node.args[0], ast.Call):
        return _groups(node.args[0], frame, evaluator, depth)
    return _PLAIN if name in _PLAIN_METHODS else _HIDDEN


def _defined_groups(defined: Iterable[Scope], evaluator: Evaluator) -> _Groups:
    """Read the groups that functions of this file make; without any word of a rate they are plain."""
    found = _Groups()
    for scope in defined:
        rates = list(_stated_rates(scope.node))
        if not rates:
            found += _PLAIN
        for value in rates:
            frame = next(
                (Frame(call.site) for call in evaluator.names.calls if call.site.scope is scope and value is call.node),
                Frame(_inside(scope)),
            )
            rate = evaluator.quantity(value, frame)
            found += _Groups(own=(rate,), hidden=rate.unit is None)
    return found


def _inside(scope: Scope) -> Site:
    return Site(scope, (10**9, 0), ())


def _stated_rates(node: ast.AST) -> Iterable[ast.expr]:
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            for key, value in zip(part.keys, part.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "lr":
                    yield value
        elif isinstance(part, ast.Call) and dotted(part.func) == "dict":
            yield from (word.value for word in part.keywords if word.arg == "lr")
        elif isinstance(part, ast.Assign):
            for target in part.targets:
                if isinstance(target, ast.Subscript) and dotted(target).endswith(".lr"):
                    yield part.value


def _named_groups(node: ast.expr, frame: Frame, evaluator: Evaluator, depth: int) -> _Groups:
    text = dotted(node)
    added = [
        _groups(addition.value, Frame(addition.site), evaluator, depth)
        for addition in evaluator.names.additions.get(text, ())[:6]
    ]
    found = sum(added, _Groups())
    for value in evaluator.values(node, frame):
        match value:
            case Items() | Table():
                found += _from_value(value)
            case Made():
                found += _groups(value.node, value.frame, evaluator, depth)
            case Stranger(path):
                last = path.rpartition(".")[2]
                found += _HIDDEN if _GROUPED.search(last) or not last else _PLAIN
            case _ if not added:
                found += _HIDDEN
    return found


def _from_value(value: Value) -> _Groups:
    match value:
        case Table():
            rate = value.get("lr")
            if rate is None:
                return _HIDDEN if value.open else _PLAIN
            if isinstance(rate, Stranger):
                return _Groups(own=(q.rate(rate.path),))
            return _Groups(own=(rate,)) if isinstance(rate, Quantity) else _HIDDEN
        case Items(items):
            found = _Groups(plain=not items)
            for item in items:
                found += _from_value(item) if isinstance(item, Items | Table) else _PLAIN
            return found
        case Function() | Class() | Text():
            return _HIDDEN
    return _PLAIN


@dataclass(frozen=True)
class Compiled:
    """The optimizer that a Keras model is compiled with.

    Args:
        rate: its rate.
        text: how it was made, briefly.
    """

    rate: Quantity
    text: str


def keras_optimizers(evaluator: Evaluator) -> list[Compiled]:
    """Find the optimizers that the models of a file are compiled with.

    Args:
        evaluator: of the file.
    """
    found: list[Compiled] = []
    for call in evaluator.names.calls:
        if not isinstance(call.node.func, ast.Attribute) or call.node.func.attr != "compile":
            continue
        words = {word.arg: word.value for word in call.node.keywords}
        argument = words.get("optimizer", call.node.args[0] if call.node.args else None)
        if argument is None or dotted(call.node.func) == "re.compile":
            continue
        evaluator.fresh()
        found.extend(_compiled(value, evaluator) for value in evaluator.values(argument, Frame(call.site)))
    return found


def _compiled(value: Value, evaluator: Evaluator) -> Compiled:
    match value:
        case Text(name):
            default = KERAS_DEFAULTS.get(name.lower())
            return Compiled(q.UNKNOWN if default is None else q.written(default), f"'{name}'")
        case Made(node, frame):
            kind = dotted(node.func).rpartition(".")[2]
            words = {word.arg: word.value for word in node.keywords}
            argument = words.get("learning_rate", words.get("lr", node.args[0] if node.args else None))
            if kind.lower() not in KERAS_DEFAULTS:
                return Compiled(q.UNKNOWN, kind)
            if argument is None:
                return Compiled(q.written(KERAS_DEFAULTS[kind.lower()]), kind)
            return Compiled(evaluator.quantity(argument, frame), kind)
    return Compiled(q.UNKNOWN, "")
