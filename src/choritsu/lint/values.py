"""What expressions may mean: a small interpreter over units and numbers that never runs foreign code.

Names are followed through assignments, parameters, call sites, attributes, options and dictionaries. A schedule's
function is interpreted for single epochs; where a condition cannot be decided, both ways are taken.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from choritsu.lint import quantities as q
from choritsu.lint.library import MODULES, computed
from choritsu.lint.names import (
    Binding,
    FunctionNode,
    Given,
    Names,
    Scope,
    Site,
    dotted,
    keyword_parameters,
    parameters,
)
from choritsu.lint.options import options
from choritsu.lint.ours import asked, combined, continued, filled, imported, made
from choritsu.lint.quantities import Quantity
from choritsu.lint.statements import ROUNDS, Runner
from choritsu.lint.things import (
    Class,
    Frame,
    Function,
    Instance,
    Items,
    Made,
    Nothing,
    Schedule,
    Stranger,
    Table,
    Text,
    Truth,
    Value,
)

#: How many possible values are followed at once.
WIDTH = 8
#: How many expressions are looked at to answer one question, and all questions of a file.
FUEL = 8_000
TANK = 100_000
DEPTH = 60


_CONSTANTS = MappingProxyType({"pi": math.pi, "e": math.e, "inf": math.inf})
_COMPARE: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = MappingProxyType({
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
})  # fmt: skip


class Evaluator:
    """Answers what an expression of one file may be.

    Args:
        names: the file's names.

    Example:
        >>> from choritsu.lint.names import collect
        >>> names = collect(ast.parse("lr = 1e-3"))
        >>> evaluator = Evaluator(names)
        >>> evaluator.quantity(ast.parse("lr * 2", mode="eval").body, evaluator.top()).unit
        1
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.options = options(names)
        self.ours = imported(names)
        self.bold = False
        self.passing = False
        self._fuel = FUEL
        self._tank = TANK
        self._depth = 0
        self._active: set[object] = set()
        self._generators: dict[ast.AST, bool] = {}
        self._calls: dict[str, list[int]] = {}
        for index, call in enumerate(names.calls):
            last = call.node.func.attr if isinstance(call.node.func, ast.Attribute) else dotted(call.node.func)
            self._calls.setdefault(last, []).append(index)
        self._rates = self._optimizers_rates()

    def _optimizers_rates(self) -> frozenset[str]:
        found = set()
        for call in self.names.calls:
            callee = dotted(call.node.func).lower()
            if not any(word in callee for word in ("optim", "adam", "sgd", "rmsprop", "adagrad", "lamb", "lars")):
                continue
            for word in call.node.keywords:
                if word.arg in ("lr", "learning_rate") and isinstance(word.value, ast.Name | ast.Attribute):
                    found.add(dotted(word.value))
        return frozenset(found - {""})

    def top(self) -> Frame:
        """Give the frame at the end of the module."""
        return Frame(Site(self.names.module, (10**9, 0), ()))

    def fresh(self) -> None:
        """Start a new question: as much may be looked at as for the last one."""
        self._tank -= FUEL - max(self._fuel, 0)
        self._fuel = FUEL if self._tank > 0 else 0
        self._depth = 0
        self._active.clear()

    def exhausted(self) -> bool:
        """Whether enough has been looked at for this question."""
        return self._fuel <= 0

    def function(self, node: FunctionNode, frame: Frame) -> Value:
        """Give the function that a definition makes, with the variables around it.

        Args:
            node: the definition.
            frame: where it stands.
        """
        scope = self.names.scopes.get(node)
        return q.UNKNOWN if scope is None else Function(scope, frame)

    # ------------------------------------------------------------------ quantities

    def quantity(self, node: ast.expr, frame: Frame) -> Quantity:
        """Give what is common to all that an expression may be, as a number.

        Args:
            node: the expression.
            frame: where it stands.
        """
        return self.as_quantity(self.values(node, frame))

    def as_quantity(self, values: Sequence[Value]) -> Quantity:
        """Read values as one number.

        Args:
            values: the possibilities; None among others is passed over.
        """
        real = [value for value in values if not isinstance(value, Nothing)]
        return q.joined(self.number(value) for value in real or values)

    def number(self, value: Value) -> Quantity:
        """Read a value as a number.

        Args:
            value: anything.
        """
        match value:
            case Quantity():
                return value
            case Truth(holds):
                return replace(q.written(float(holds)), sure=True) if holds is not None else q.unnamed()
            case Stranger(path):
                return self._stranger(path)
            case Items((single,)):
                return self.number(single)
        return q.UNKNOWN

    def _stranger(self, path: str) -> Quantity:
        last = path.rpartition(".")[2]
        if self._is_in_force(path):
            return Quantity(unit=1, current=1, sure=False, rates=frozenset((path,)))
        if q.rate_like(path) or path in self._rates:
            return q.rate(path)
        if last.lower() in _VAGUE:
            return q.UNKNOWN
        return q.unnamed(q.guess(path))

    def _is_in_force(self, path: str) -> bool:
        return self.passing and ".optimizer." in f".{path}" and q.rate_like(path.rpartition(".")[2])

    def _kept(self, values: list[Value]) -> list[Value]:
        """Give what was read before a schedule began: the rate in force then is one that stays."""

        def kept(value: Value) -> Value:
            if isinstance(value, Stranger) and self._is_in_force(value.path):
                return q.rate(value.path)
            return replace(value, current=0) if isinstance(value, Quantity) and value.current else value

        return [kept(value) for value in values]

    def named(self, name: str, values: list[Value], inside: bool = False) -> list[Value]:
        """Let a name speak: a small plain number called ``lr`` is a rate.

        Args:
            name: the name the values were given.
            values: the values.
            inside: a variable of the schedule's function itself, where a factor is often called ``lr`` too.
        """
        if not (q.rate_like(name) or name in self._rates):
            return values
        return [self._elevated(name, value, inside) for value in values]

    def _elevated(self, name: str, value: Value, inside: bool) -> Value:
        if isinstance(value, Stranger):
            return value if q.rate_like(value.path) or inside else Stranger(name)
        if isinstance(value, Made) and not inside:
            return Stranger(name)
        if not isinstance(value, Quantity) or value.counter or value.rates or value.unit not in (0, None):
            return value
        if value.number is None:
            if inside or (value.current != 0 and value.current is not None):
                return value
            return q.rate(name)
        if 0 < abs(value.number) < q.NO_RATE or (0 < abs(value.number) < 1 and not inside):
            return replace(value, unit=1, current=0, literal=False, rates=frozenset((name,)))
        return value

    # ------------------------------------------------------------------ expressions

    def values(self, node: ast.expr, frame: Frame) -> list[Value]:
        """Give all that an expression may be, as far as it can be followed.

        Args:
            node: the expression.
            frame: where it stands.
        """
        self._fuel -= 1
        if self._fuel <= 0 or self._depth >= DEPTH:
            return [q.UNKNOWN]
        self._depth += 1
        try:
            found = self._values(node, frame)
        finally:
            self._depth -= 1
        return list(dict.fromkeys(found))[:WIDTH] if len(found) > 1 else found or [q.UNKNOWN]

    def _values(self, node: ast.expr, frame: Frame) -> list[Value]:
        match node:
            case ast.Constant():
                return [_constant(node.value)]
            case ast.Name():
                return self._name(node, frame)
            case ast.Attribute():
                return self._attribute(node, frame)
            case ast.Subscript():
                return self._subscript(node, frame)
            case ast.BinOp():
                return self._operation(node, frame)
            case ast.UnaryOp():
                if isinstance(node.op, ast.Not):
                    holds = self.test(node.operand, frame)
                    return [Truth(None if holds is None else not holds)]
                value = self.quantity(node.operand, frame)
                return [q.negative(value) if isinstance(node.op, ast.USub) else value]
            case ast.Compare():
                return [Truth(self._compare(node, frame))]
            case ast.BoolOp():
                return self._either(node, frame)
            case ast.IfExp():
                holds = self.test(node.test, frame)
                chosen = [node.body, node.orelse] if holds is None else [node.body if holds else node.orelse]
                return [value for branch in chosen for value in self.values(branch, frame)]
            case ast.Lambda():
                return [Function(self.names.scopes[node], frame)] if node in self.names.scopes else []
            case ast.Call():
                return self._call(node, frame)
            case ast.List() | ast.Tuple():
                return [self._items(node.elts, frame)]
            case ast.Dict():
                return [self._table(node, frame)]
            case ast.ListComp() | ast.GeneratorExp():
                return [Items(tuple(self.values(node.elt, frame)), open=True)]
            case ast.NamedExpr():
                return self.named(node.target.id, self.values(node.value, frame))
            case ast.Starred() | ast.Await():
                return self.values(node.value, frame)
            case ast.JoinedStr():
                return [Stranger("")]
        return [q.UNKNOWN]

    def _items(self, nodes: Iterable[ast.expr], frame: Frame) -> Items:
        items: list[Value] = []
        unfinished = False
        for node in nodes:
            values = self.values(node, frame)
            if isinstance(node, ast.Starred):
                unfinished = True
                for value in values:
                    items.extend(value.items if isinstance(value, Items) else (value,))
            else:
                items.append(self.one(values))
        return Items(tuple(items), unfinished)

    def one(self, values: list[Value]) -> Value:
        """Make one value of several possible ones.

        Args:
            values: the possibilities.
        """
        if len(values) == 1:
            return values[0]
        if all(isinstance(value, Quantity | Truth | Stranger) for value in values):
            return self.as_quantity(values)
        return next((value for value in values if not isinstance(value, Nothing)), Nothing())

    def _table(self, node: ast.Dict, frame: Frame) -> Table:
        entries: list[tuple[object, Value]] = []
        unfinished = False
        for key, item in zip(node.keys, node.values, strict=True):
            values = self.values(item, frame)
            if key is None:
                merged = [value for value in values if isinstance(value, Table)]
                unfinished = unfinished or not merged
                entries.extend(entry for table in merged for entry in table.entries)
            elif isinstance(key, ast.Constant):
                name = str(key.value)
                entries.append((key.value, self.one(self.named(name, values))))
            else:
                unfinished = True
        return Table(tuple(entries), unfinished)

    def _name(self, node: ast.Name, frame: Frame) -> list[Value]:
        around: Frame | None = frame
        while around is not None:
            if around.variables is not None and node.id in around.variables:
                return [around.variables[node.id]]
            if around.variables is not None and node.id in around.site.scope.bindings:
                break
            around = around.outer
        bindings = self.names.see(node.id, (around or frame).site)
        if not bindings:
            return [Stranger(node.id)]
        found: list[Value] = []
        for binding in bindings:
            found.extend(self._binding(node.id, binding, around or frame))
        return found

    def _binding(self, name: str, binding: Binding, frame: Frame) -> list[Value]:
        key = (id(binding), self.bold)
        if key in self._active or len(self._active) > 40:
            return [Stranger(name)]
        self._active.add(key)
        try:
            values = self._bound(name, binding, frame)
        finally:
            self._active.discard(key)
        return values if binding.site is None or binding.site.scope is frame.site.scope else self._kept(values)

    def _bound(self, name: str, binding: Binding, frame: Frame) -> list[Value]:
        node = binding.node
        here = Frame(binding.site, frame.variables if frame.site.scope is binding.site.scope else None, frame.outer)
        match binding.kind:
            case "value" if isinstance(node, ast.expr):
                return self.named(name, self.values(node, here))
            case "part" if isinstance(node, ast.expr):
                return self.named(name, self._part(name, node, binding.index, here))
            case "function" if node in self.names.scopes:
                return [Function(self.names.scopes[node], here)]
            case "class" if node in self.names.scopes:
                return [Class(self.names.scopes[node])]
            case "parameter":
                return self._parameter(name, binding, frame)
        return [Stranger(binding.origin or name)]

    def _part(self, name: str, node: ast.expr, index: int, frame: Frame) -> list[Value]:
        if isinstance(node, ast.Call):
            # ``model, optimizer = wrap(model, optimizer)`` gives back what it was given.
            for argument in node.args:
                if dotted(argument).rpartition(".")[2] == name.rpartition(".")[2]:
                    return self.values(argument, frame)
        found: list[Value] = []
        for value in self.values(node, frame):
            if isinstance(value, Items) and index < len(value.items):
                found.append(value.items[index])
            else:
                found.append(Stranger(name))
        return found

    def _parameter(self, name: str, binding: Binding, frame: Frame) -> list[Value]:
        scope = next((s for s in _upwards(frame.site.scope) if binding in s.bindings.get(name, ())), None)
        if scope is None or not isinstance(scope.node, FunctionNode):
            return [Stranger(name)]
        owner = scope.parent if scope.parent is not None and scope.parent.is_class else None
        if owner is not None and binding.index == 0 and not _static(scope.node):
            return [Instance(owner)]
        found = self._passed(name, binding.index, scope, owner)
        if found:
            return self.named(name, found)
        annotated = _annotation(scope.node, name)
        if annotated is not None and binding.site is not None:
            defined = self.names.definition(dotted(annotated).rpartition(".")[2], binding.site)
            if defined is not None and defined.is_class:
                return [Instance(defined)]
        if isinstance(binding.node, ast.expr):
            defaults = self.values(binding.node, Frame(binding.site))
            known = [replace(value, sure=False) for value in defaults if isinstance(value, Quantity)]
            if known:
                return self.named(name, list(known))
        return [Stranger(name)]

    def _passed(self, name: str, index: int, scope: Scope, owner: Scope | None) -> list[Value]:
        """Follow a parameter to the places of this file that call its function."""
        node = scope.node
        if isinstance(node, ast.Lambda) or not isinstance(node, FunctionNode):
            return []
        callee = node.name
        if owner is not None and callee == "__init__" and isinstance(owner.node, ast.ClassDef):
            callee = owner.node.name
        elif len(self.names.functions.get(callee, ())) != 1:
            return []
        found: list[Value] = []
        shift = 1 if owner is not None and not _static(node) else 0
        for number in self._calls.get(callee, ())[:WIDTH]:
            call = self.names.calls[number]
            if call.site.scope is scope:
                continue
            argument = _argument(call.node, index - shift, name)
            if argument is not None:
                found.extend(self.values(argument, Frame(call.site)))
        return found

    def _attribute(self, node: ast.Attribute, frame: Frame) -> list[Value]:
        path = dotted(node)
        if node.attr in _CONSTANTS and path.partition(".")[0] in MODULES:
            return [q.written(_CONSTANTS[node.attr])]
        bases = self.values(node.value, frame) if not isinstance(node.value, ast.Call) or not path else []
        found: list[Value] = []
        for base in bases:
            found.extend(self._member(base, node.attr, frame))
        if found:
            return found
        return self._elsewhere(path or node.attr, node.attr, bases)

    def _elsewhere(self, path: str, last: str, bases: Sequence[Value]) -> list[Value]:
        """Look for what an attribute or item of an unknown thing was said to be anywhere in the file."""
        found: list[Value] = []
        for given in self.names.given.get(path, ())[:WIDTH]:
            found.extend(self._given(path, given, Frame(given.site)))
        strangers = [base.path for base in bases if isinstance(base, Stranger) and base.path]
        if not found and last in self.options and not path.startswith(("optimizer.", "self.optimizer.")):
            option = self.options[last]
            found.extend(map(_overridable, self.values(option.default, Frame(option.site))))
        found = [value for value in found if not isinstance(value, Nothing)]
        if found:
            return self.named(path, found)
        if strangers and "." not in path:
            return [Stranger(f"{strangers[0]}.{last}")]
        return [Stranger(path)]

    def _given(self, path: str, given: Given, frame: Frame) -> list[Value]:
        if id(given) in self._active:
            return []
        self._active.add(id(given))
        try:
            if given.index >= 0:
                return self._part(path, given.value, given.index, frame)
            return self.values(given.value, frame)
        finally:
            self._active.discard(id(given))

    def _member(self, base: Value, name: str, frame: Frame) -> list[Value]:
        match base:
            case Instance():
                return self._instance_member(base, name, frame)
            case Class(scope):
                return self._class_member(scope, name, None)
            case Table():
                value = base.get(name)
                return [] if value is None else [value]
            case Made(node, made_frame):
                words = {word.arg: word.value for word in node.keywords}
                if name in words and dotted(node.func).rpartition(".")[2] in _NAMESPACES:
                    return self.named(name, self.values(words[name], made_frame))
                if dotted(node.func).rpartition(".")[2] in _NAMESPACES:
                    for argument in node.args[:1]:
                        for value in self.values(argument, made_frame):
                            if isinstance(value, Table) and (entry := value.get(name)) is not None:
                                return [entry]
        return []

    def member(self, instance: Instance, name: str) -> list[Value]:
        """Give what an attribute of an object may be.

        Args:
            instance: the object.
            name: the attribute.
        """
        return self._instance_member(instance, name, self.top())

    def _instance_member(self, instance: Instance, name: str, frame: Frame) -> list[Value]:
        variables = frame.variables or {}
        stored = variables.get(f"self.{name}")
        if stored is not None and instance.arguments is not None:
            return [stored]
        for scope in self.names.bases(instance.scope):
            found: list[Value] = []
            for given in self.names.attributes.get((id(scope), name), ())[:WIDTH]:
                here = Frame(given.site)
                if instance.arguments is not None and _is_constructor(given.site.scope):
                    here = self._constructed(instance, given.site)
                values = self.named(f"self.{name}", self._given(f"self.{name}", given, here))
                found.extend(self._kept(values) if _is_constructor(given.site.scope) else values)
            real: list[Value] = [value for value in found if not isinstance(value, Nothing)]
            if real:
                return real
            member = self._class_member(scope, name, instance)
            if member:
                return member
        return []

    def _constructed(self, instance: Instance, site: Site) -> Frame:
        function = Function(site.scope, Frame(site), instance, instance.arguments or (), instance.keywords)
        bound = self._arguments(function, (), ())
        return Frame(site, {name: values for name, values in bound.items() if not isinstance(values, Stranger)})

    def _class_member(self, scope: Scope, name: str, instance: Instance | None) -> list[Value]:
        found: list[Value] = []
        for binding in scope.bindings.get(name, ())[-1:]:
            node = binding.node
            if binding.kind == "function" and isinstance(node, FunctionNode) and node in self.names.scopes:
                owner = None if _static(node) else (instance or Instance(scope))
                method = Function(self.names.scopes[node], Frame(binding.site), owner)
                if _is_property(node):
                    found.extend(self.call(method, (), ()))
                else:
                    found.append(method)
            elif isinstance(node, ast.expr):
                values = self.named(name, self.values(node, Frame(binding.site)))
                # A dataclass field's default may be replaced by its user.
                found.extend(map(_overridable, values) if instance else values)
        return found

    def _subscript(self, node: ast.Subscript, frame: Frame) -> list[Value]:
        path = dotted(node)
        bases = self.values(node.value, frame)
        found: list[Value] = []
        for base in bases:
            index = self._index(node.slice, frame)
            match base:
                case Items(items, unfinished):
                    if isinstance(index, int) and not unfinished and -len(items) <= index < len(items):
                        found.append(items[index])
                    elif isinstance(index, int) and not unfinished:
                        continue
                    elif items and not isinstance(node.slice, ast.Slice):
                        found.append(self.one(list(items)))
                    else:
                        found.append(base)
                case Table() if index is not None and base.get(index) is not None:
                    found.append(base.get(index) or q.UNKNOWN)
                case Table(entries) if index is None and entries:
                    found.extend(value for _, value in entries)
                case Quantity() | Function():
                    found.append(base)
                case _ if isinstance(index, str):
                    found.extend(self._member(base, index, frame))
        if found:
            return found
        if path:
            return self._elsewhere(path, path.rpartition(".")[2], bases)
        if isinstance(node.slice, ast.Constant):
            return [Stranger(str(node.slice.value))]
        return [q.UNKNOWN]

    def _index(self, node: ast.expr, frame: Frame) -> object:
        values = self.values(node, frame)
        match values:
            case [Text(text)]:
                return text
            case [Quantity(number=number, sure=sure)] if number is not None and (sure or self.bold):
                return int(number) if number == int(number) else None
        return None

    def _operation(self, node: ast.BinOp, frame: Frame) -> list[Value]:
        lefts, rights = self.values(node.left, frame), self.values(node.right, frame)
        if any(isinstance(value, Schedule) for value in (*lefts, *rights)):
            single = len(lefts) == len(rights) == 1
            return [combined(node.op, lefts[0], rights[0]) if single else q.UNKNOWN]
        arrays = [value for value in (*lefts, *rights) if isinstance(value, Items)]
        if arrays and (any(one.array for one in arrays) or not isinstance(node.op, ast.Mult | ast.Add)):
            return [self._elementwise(node, lefts[0], rights[0])]
        if isinstance(node.op, ast.Mult | ast.Add):
            for one, other in ((lefts, rights), (rights, lefts)):
                for value in one:
                    if isinstance(value, Items):
                        return [_repeated(value, other, node.op, self)]
        return [self._arithmetic(node, self.as_quantity(lefts), self.as_quantity(rights))]

    def _elementwise(self, node: ast.BinOp, left: Value, right: Value) -> Value:
        def parts(value: Value) -> list[Quantity]:
            return [self.number(item) for item in value.items] if isinstance(value, Items) else [self.number(value)]

        lefts, rights = parts(left), parts(right)
        count = max(len(lefts), len(rights))
        if not lefts or not rights or not {len(lefts), len(rights)} <= {1, count} or count > ROUNDS:
            return q.UNKNOWN
        rows = zip(lefts * (count // len(lefts)), rights * (count // len(rights)), strict=True)
        unfinished = any(isinstance(value, Items) and value.open for value in (left, right))
        return Items(tuple(self._arithmetic(node, one, other) for one, other in rows), unfinished, array=True)

    def _arithmetic(self, node: ast.BinOp, left: Quantity, right: Quantity) -> Quantity:
        match node.op:
            case ast.Add():
                return q.plus(left, right)
            case ast.Sub():
                return q.plus(left, q.negative(right))
            case ast.Mult():
                return q.times(left, right)
            case ast.Div():
                return q.over(left, right)
            case ast.FloorDiv():
                return q.kept(lambda x: float(math.floor(x)), q.over(left, right))
            case ast.Pow():
                return q.power(left, right)
            case ast.Mod():
                rest = q.same_unit((left, right), None)
                if left.number is not None and right.number:
                    rest = replace(rest, number=left.number % right.number)
                return replace(rest, literal=False)
        return q.UNKNOWN

    def _either(self, node: ast.BoolOp, frame: Frame) -> list[Value]:
        holds = self._all_or_any(node, frame)
        if holds is not None:
            truthy = isinstance(node.op, ast.And) == holds
            if all(isinstance(part, ast.Compare) for part in node.values):
                return [Truth(holds)]
            if truthy:
                return self.values(node.values[-1 if holds else 0], frame)
        if any(isinstance(part, ast.Compare) for part in node.values):
            return [Truth(holds)]
        return [value for part in node.values for value in self.values(part, frame)]

    # ------------------------------------------------------------------ conditions

    def test(self, node: ast.expr, frame: Frame) -> bool | None:
        """Decide a condition; None if it depends on what is unknown.

        Args:
            node: the condition.
            frame: where it stands.
        """
        match node:
            case ast.BoolOp():
                return self._all_or_any(node, frame)
            case ast.Compare():
                return self._compare(node, frame)
            case ast.UnaryOp(op=ast.Not()):
                holds = self.test(node.operand, frame)
                return None if holds is None else not holds
        values = self.values(node, frame)
        if len(values) != 1:
            return None
        match values[0]:
            case Truth(holds):
                return holds
            case Nothing():
                return False if isinstance(node, ast.Constant) or frame.variables is not None else None
            case Quantity(number=number, sure=sure) if number is not None and (sure or self.bold):
                return bool(number)
        return None

    def _all_or_any(self, node: ast.BoolOp, frame: Frame) -> bool | None:
        decisive = isinstance(node.op, ast.Or)
        outcomes = [self.test(part, frame) for part in node.values]
        if decisive in outcomes:
            return decisive
        return None if None in outcomes else not decisive

    def _compare(self, node: ast.Compare, frame: Frame) -> bool | None:
        terms = [node.left, *node.comparators]
        outcomes = [
            self._compared(op, left, right, frame) for op, left, right in zip(node.ops, terms, terms[1:], strict=False)
        ]
        if False in outcomes:
            return False
        return None if None in outcomes else True

    def _compared(self, op: ast.cmpop, left: ast.expr, right: ast.expr, frame: Frame) -> bool | None:
        lefts, rights = self.values(left, frame), self.values(right, frame)
        if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
            if all(isinstance(value, Nothing) for value in lefts):
                return isinstance(op, ast.Is)
            known = all(isinstance(value, Quantity) and value.known is not None for value in lefts)
            return isinstance(op, ast.IsNot) if known else None
        if isinstance(op, ast.In | ast.NotIn):
            return self._contained(op, lefts, rights)
        match lefts, rights:
            case [Text(one)], [Text(other)] if isinstance(op, ast.Eq | ast.NotEq):
                return (one == other) == isinstance(op, ast.Eq)
        if len(lefts) != 1 or len(rights) != 1:
            return None
        compare = _COMPARE.get(type(op))
        one_number, other_number = self.decisive(lefts[0]), self.decisive(rights[0])
        if compare is None or one_number is None or other_number is None:
            return None
        return compare(one_number, other_number)

    def decisive(self, value: Value) -> float | None:
        """Give the number that conditions may be decided by; None if there is none.

        Args:
            value: anything.
        """
        quantity = self.number(value)
        return quantity.number if self.bold else quantity.known

    def _contained(self, op: ast.cmpop, lefts: list[Value], rights: list[Value]) -> bool | None:
        match lefts, rights:
            case [single], [Items(items, False)]:
                wanted = self.decisive(single)
                numbers = [self.decisive(item) for item in items]
                if wanted is None or None in numbers:
                    return None
                return (wanted in numbers) == isinstance(op, ast.In)
        return None

    # ------------------------------------------------------------------ calls

    def _call(self, node: ast.Call, frame: Frame) -> list[Value]:
        last = node.func.attr if isinstance(node.func, ast.Attribute) else dotted(node.func)
        path = dotted(node.func)
        if last == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            member = ast.copy_location(ast.Attribute(node.args[0], str(node.args[1].value), ast.Load()), node)
            return self.values(member, frame)
        if last in ("partial", "partialmethod") and node.args:
            return self._partial(node, frame)
        if last == "get" and isinstance(node.func, ast.Attribute) and node.args:
            return self._got(node, node.func, frame)
        own = None
        if self.ours:
            schedule = made(node, frame.site, self.names)
            own = continued(node, frame, self) if schedule is None else filled(schedule, node, frame, self)
        if own is not None:
            return [own]
        callees = (
            self.values(node.func, frame)
            if not isinstance(node.func, ast.Attribute) or self._may_be_own(node.func)
            else []
        )
        found: list[Value] = []
        for callee in callees:
            match callee:
                case Function():
                    found.extend(self.call(callee, *self._given_arguments(node, frame)))
                case Schedule():
                    found.append(asked(callee, node))
                case Class(scope):
                    arguments, words = self._given_arguments(node, frame)
                    found.append(Instance(scope, arguments, words))
                case Instance():
                    method = next(iter(self._instance_member(callee, "__call__", frame)), None)
                    if isinstance(method, Function):
                        found.extend(self.call(method, *self._given_arguments(node, frame)))
        if found:
            return found
        builtin = computed(last, path, node, frame, self)
        return [builtin] if builtin is not None else [Made(node, frame)]

    def _may_be_own(self, func: ast.Attribute) -> bool:
        """Whether the file itself may define what is called; saves following what it cannot."""
        return (
            func.attr in self.names.functions
            or func.attr in _STORED
            or any(key.endswith(f".{func.attr}") for key in self.names.given)
        )

    def _given_arguments(self, node: ast.Call, frame: Frame) -> tuple[tuple[Value, ...], tuple[tuple[str, Value], ...]]:
        items = self._items(node.args, frame).items
        words: list[tuple[str, Value]] = []
        for word in node.keywords:
            values = self.values(word.value, frame)
            if word.arg is not None:
                words.append((word.arg, self.one(values)))
            else:
                for value in values:
                    if isinstance(value, Table):
                        words.extend((str(key), entry) for key, entry in value.entries)
        return items, tuple(words)

    def _partial(self, node: ast.Call, frame: Frame) -> list[Value]:
        rest = ast.copy_location(ast.Call(node.func, node.args[1:], node.keywords), node)
        arguments, words = self._given_arguments(rest, frame)
        found: list[Value] = [
            replace(callee, arguments=callee.arguments + arguments, keywords=callee.keywords + words)
            for callee in self.values(node.args[0], frame)
            if isinstance(callee, Function)
        ]
        return found or [Made(node, frame)]

    def _got(self, node: ast.Call, func: ast.Attribute, frame: Frame) -> list[Value]:
        """A dictionary's get: the entry, else the default."""
        key = self._index(node.args[0], frame)
        if isinstance(key, str):
            for base in self.values(func.value, frame):
                member = self._member(base, key, frame)
                if member:
                    return member
        path = dotted(node)
        found: list[Value] = self._elsewhere(path, path.rpartition(".")[2], ()) if path else [q.UNKNOWN]
        if len(node.args) > 1 and isinstance(found[0], Stranger):
            defaults = self.values(node.args[1], frame)
            known = [replace(value, sure=False) for value in defaults if isinstance(value, Quantity)]
            if known:
                return self.named(path, list(known))
        return found

    def call(
        self, function: Function, arguments: Sequence[Value], keywords: Sequence[tuple[str, Value]]
    ) -> list[Value]:
        """Interpret a function of the file; gives what it may return.

        Args:
            function: the function.
            arguments: by position.
            keywords: by name.
        """
        key = (id(function.scope), "called")
        if self._depth > DEPTH - 5 or (key in self._active and self._fuel < FUEL // 2):
            return [q.UNKNOWN]
        node = function.node
        variables = self._arguments(function, arguments, keywords)
        frame = Frame(Site(function.scope, (node.lineno, node.col_offset), ()), variables, function.frame)
        self._active.add(key)
        try:
            if isinstance(node, ast.Lambda):
                return self.values(node.body, frame)
            if self._yields(node):
                return [q.UNKNOWN]
            flow = Runner(self).run(node.body, [dict(variables)], frame)
        finally:
            self._active.discard(key)
        found = flow.returned + ([Nothing()] if flow.live and not flow.returned else [])
        return list(dict.fromkeys(found))[: WIDTH * 2]

    def _yields(self, node: FunctionNode) -> bool:
        if node not in self._generators:
            parts = (ast.Yield, ast.YieldFrom)
            self._generators[node] = any(isinstance(part, parts) for part in _own_nodes(node))
        return self._generators[node]

    def _arguments(
        self, function: Function, arguments: Sequence[Value], keywords: Sequence[tuple[str, Value]]
    ) -> dict[str, Value]:
        node = function.node
        by_name = dict((*function.keywords, *keywords))
        by_position: list[Value] = [*function.arguments, *arguments]
        if function.owner is not None:
            by_position.insert(0, function.owner)
        variables: dict[str, Value] = {}
        places = parameters(node)
        for index, (argument, default) in enumerate((*places, *keyword_parameters(node))):
            name = argument.arg
            if index < len(places) and index < len(by_position):
                values: list[Value] = [by_position[index]]
            elif name in by_name:
                values = [by_name[name]]
            elif default is not None:
                values = self.values(default, Frame(function.scope.site) if function.scope.site else self.top())
            else:
                values = [Stranger(name)]
            variables[name] = self.one(self.named(name, values))
        if node.args.vararg is not None:
            variables[node.args.vararg.arg] = Items(tuple(by_position[len(places) :]))
        if node.args.kwarg is not None:
            variables[node.args.kwarg.arg] = Table(tuple(by_name.items()))
        return variables


_VAGUE = frozenset(
    "value values rate rates start end stop peak base initial init max min high low val v result eta x y alpha".split()
)
_NAMESPACES = frozenset("Namespace SimpleNamespace EasyDict edict AttrDict Munch DotDict dict ConfigDict Box".split())
_STORED = frozenset(("step", "schedule", "lr_lambda"))


def _overridable(value: Value) -> Value:
    return replace(value, sure=False) if isinstance(value, Quantity) else value


def _constant(value: object) -> Value:
    if value is None:
        return Nothing()
    if isinstance(value, bool):
        return Truth(value)
    if isinstance(value, int | float):
        try:
            return q.written(float(value))
        except OverflowError:
            return q.UNKNOWN
    if isinstance(value, str):
        try:
            # Options are often written as text.
            return q.written(float(value)) if len(value) < 20 and value[:1].isdigit() else Text(value)
        except ValueError:
            return Text(value)
    return q.UNKNOWN


def _repeated(items: Items, others: list[Value], op: ast.operator, evaluator: Evaluator) -> Items:
    other = others[0]
    if isinstance(op, ast.Add):
        more = other.items if isinstance(other, Items) else ()
        return Items(items.items + more, items.open or not isinstance(other, Items) or other.open)
    count = evaluator.as_quantity([other]).known
    if count is not None and 0 <= count * len(items.items) <= 5 * ROUNDS:
        return Items(items.items * int(count), items.open)
    return Items(items.items, open=True)


def _upwards(scope: Scope | None) -> Iterable[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent


def _static(node: ast.AST) -> bool:
    return any(dotted(found) == "staticmethod" for found in getattr(node, "decorator_list", ()))


def _is_property(node: ast.AST) -> bool:
    return any(
        dotted(found).rpartition(".")[2] in ("property", "cached_property")
        for found in getattr(node, "decorator_list", ())
    )


def _is_constructor(scope: Scope) -> bool:
    return isinstance(scope.node, ast.FunctionDef) and scope.node.name == "__init__"


def _annotation(node: FunctionNode, name: str) -> ast.expr | None:
    arguments = (*parameters(node), *keyword_parameters(node))
    return next((argument.annotation for argument, _ in arguments if argument.arg == name), None)


def _argument(call: ast.Call, index: int, name: str) -> ast.expr | None:
    for word in call.keywords:
        if word.arg == name:
            return word.value
    if 0 <= index < len(call.args) and not any(isinstance(part, ast.Starred) for part in call.args[: index + 1]):
        return call.args[index]
    return None


def _own_nodes(node: ast.AST) -> Iterable[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FunctionNode):
            yield child
            yield from _own_nodes(child)
