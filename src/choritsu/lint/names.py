"""Names: who binds them, in which scope, and which binding a use sees. Purely from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
ScopeNode: TypeAlias = ast.Module | ast.ClassDef | FunctionNode

#: A statement's place: the compound statements around it, with the branch it stands in.
Path: TypeAlias = tuple[tuple[int, str], ...]
Position: TypeAlias = tuple[int, int]

START: Position = (0, 0)
END: Position = (10**9, 0)


@dataclass(frozen=True)
class Site:
    """Where an expression stands: names mean what they mean there."""

    scope: Scope
    position: Position
    path: Path


@dataclass(frozen=True)
class Binding:
    """A name given a meaning once.

    Args:
        kind: value, part (of an unpacked value), loop, import, function, class, parameter or other.
        node: the value, the definition, or the parameter's default.
        site: where that stands.
        end: where the statement ends; a use sees only bindings that have ended.
        index: which part of an unpacked value.
        origin: for an import, the full dotted name.
    """

    kind: str
    node: ast.AST | None
    site: Site
    end: Position
    index: int = 0
    origin: str = ""


@dataclass(eq=False)
class Scope:
    """A module, class, function or lambda, and the names it binds."""

    node: ScopeNode
    parent: Scope | None
    site: Site | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @property
    def owner(self) -> Scope | None:
        """The class whose method this is, also for functions inside the method."""
        scope: Scope | None = self
        while scope is not None:
            if scope.parent is not None and scope.parent.is_class and not scope.is_class:
                return scope.parent
            scope = scope.parent
        return None

    def method(self) -> Scope | None:
        """Give the method that this scope is, or lies in."""
        scope: Scope | None = self
        while scope is not None:
            if scope.parent is not None and scope.parent.is_class:
                return scope
            scope = scope.parent
        return None


@dataclass(frozen=True)
class Call:
    """A call, and where it stands."""

    node: ast.Call
    site: Site


@dataclass(frozen=True)
class Given:
    """A value assigned to an attribute or an item: ``self.lr = 0.1``, ``config["lr"] = 0.1``."""

    value: ast.expr
    site: Site
    end: Position
    index: int = -1


@dataclass
class Names:
    """All that a file binds.

    Args:
        module: the outermost scope.
        scopes: the scope of each node that has one.
        calls: every call, in order.
        given: what attributes and items were assigned, by their dotted text; ``self`` by class.
        additions: what was appended to a list or added with ``+=``, by the list's dotted text.
        functions: every function of the file, by name.
        statements: the innermost site of every function, for uses without one.
    """

    module: Scope
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    given: dict[str, list[Given]] = field(default_factory=dict)
    attributes: dict[tuple[int, str], list[Given]] = field(default_factory=dict)
    additions: dict[str, list[Given]] = field(default_factory=dict)
    functions: dict[str, list[Scope]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    def see(self, name: str, site: Site) -> list[Binding]:
        """Find the bindings that a use of the name may mean; empty for a builtin or a stranger.

        Args:
            name: the name.
            site: where it is used.
        """
        scope: Scope | None = site.scope
        inner = True
        while scope is not None:
            bindings = scope.bindings.get(name)
            if bindings and (inner or not scope.is_class):
                if inner:
                    return _visible(bindings, site.position, site.path)
                return _seen_from_within(bindings, scope, site)
            scope, inner = scope.parent, False
        return []

    def definition(self, name: str, site: Site) -> Scope | None:
        """Give the scope of the class or function that a name means, if it means just one."""
        found = {
            id(binding.node): self.scopes.get(binding.node)
            for binding in self.see(name, site)
            if binding.kind in ("function", "class") and binding.node is not None
        }
        return next(iter(found.values())) if len(found) == 1 else None

    def bases(self, scope: Scope) -> Iterator[Scope]:
        """Walk a class and the classes of this file it inherits from."""
        seen: set[int] = set()
        waiting = [scope]
        while waiting:
            current = waiting.pop(0)
            if id(current) in seen or not isinstance(current.node, ast.ClassDef):
                continue
            seen.add(id(current))
            yield current
            for base in current.node.bases:
                if isinstance(base, ast.Name) and current.site is not None:
                    parent = self.definition(base.id, current.site)
                    if parent is not None:
                        waiting.append(parent)


def _visible(bindings: list[Binding], position: Position, path: Path) -> list[Binding]:
    before = [binding for binding in bindings if binding.end <= position]
    chosen: list[Binding] = []
    for binding in reversed(before or bindings):
        chosen.append(binding)
        if before and _encloses(binding.site.path, path):
            break
    if len(chosen) > 1:
        chosen = [binding for binding in chosen if not _excludes(binding.site.path, path)] or chosen
    return chosen[::-1]


def _seen_from_within(bindings: list[Binding], scope: Scope, site: Site) -> list[Binding]:
    """A function sees what its surroundings hold when it runs, which is late."""
    inner = site.scope
    while inner.parent is not None and inner.parent is not scope:
        inner = inner.parent
    path = inner.site.path if inner.site is not None and inner.site.scope is scope else ()
    return _visible(bindings, END, path)


def _encloses(outer: Path, inner: Path) -> bool:
    return inner[: len(outer)] == outer


def _excludes(one: Path, other: Path) -> bool:
    """Whether two places stand in different branches of one statement."""
    for (first, branch), (second, other_branch) in zip(one, other, strict=False):
        if first != second:
            return False
        if branch != other_branch:
            return not {branch, other_branch} & {"try", "finally", "except"}
    return False


def dotted(node: ast.AST) -> str:
    """Write an attribute or item chain as one dotted name; empty if it is anything else.

    Example:
        >>> dotted(ast.parse("cfg.train['lr']", mode="eval").body)
        'cfg.train.lr'
    """
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            parts.append(str(node.slice.value))
            node = node.value
        elif isinstance(node, ast.Name):
            parts.append(node.id)
            return ".".join(reversed(parts))
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            parts.append(node.args[0].value)
            node = node.func.value
        else:
            return ""


def parameters(node: FunctionNode) -> list[tuple[ast.arg, ast.expr | None]]:
    """List the positional parameters with their defaults."""
    found = [*node.args.posonlyargs, *node.args.args]
    missing: list[ast.expr | None] = [None] * (len(found) - len(node.args.defaults))
    return list(zip(found, missing + list(node.args.defaults), strict=True))


def keyword_parameters(node: FunctionNode) -> list[tuple[ast.arg, ast.expr | None]]:
    """List the keyword-only parameters with their defaults."""
    return list(zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True))


def collect(tree: ast.Module) -> Names:
    """Read all names of a module.

    Example:
        >>> names = collect(ast.parse("lr = 0.1"))
        >>> names.module.bindings["lr"][0].kind
        'value'
    """
    module = Scope(tree, None)
    module.site = Site(module, START, ())
    collector = _Collector(Names(module, {tree: module}))
    collector.block(tree.body, Site(module, START, ()))
    return collector.names


class _Collector:
    """One walk over the tree, statement by statement."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def block(self, body: Iterable[ast.stmt], site: Site) -> None:
        for statement in body:
            self.statement(statement, Site(site.scope, (statement.lineno, statement.col_offset), site.path))

    def branch(self, body: list[ast.stmt], site: Site, owner: ast.AST, name: str) -> None:
        if body:
            self.block(body, Site(site.scope, site.position, (*site.path, (id(owner), name))))

    def statement(self, node: ast.stmt, site: Site) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.bind(node.name, Binding("function", node, site, _end(node)))
                for expression in (*node.decorator_list, *_defaults(node)):
                    self.expression(expression, site)
                self.function(node, site)
            case ast.ClassDef():
                self.bind(node.name, Binding("class", node, site, _end(node)))
                for expression in (*node.decorator_list, *node.bases, *(word.value for word in node.keywords)):
                    self.expression(expression, site)
                scope = Scope(node, site.scope, site)
                self.names.scopes[node] = scope
                self.block(node.body, Site(scope, site.position, ()))
            case ast.Assign():
                self.expression(node.value, site)
                for target in node.targets:
                    self.target(target, node.value, site, _end(node))
            case ast.AnnAssign():
                if node.value is not None:
                    self.expression(node.value, site)
                    self.target(node.target, node.value, site, _end(node))
            case ast.AugAssign():
                self.expression(node.value, site)
                self.augmented(node, site)
            case ast.Import():
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    origin = alias.name if alias.asname else name
                    self.bind(name, Binding("import", node, site, _end(node), origin=origin))
            case ast.ImportFrom():
                origin = "." * node.level + (node.module or "")
                for alias in node.names:
                    if alias.name == "*":
                        self.names.stars.append(origin)
                    else:
                        found = Binding("import", node, site, _end(node), origin=f"{origin}.{alias.name}")
                        self.bind(alias.asname or alias.name, found)
            case ast.If() | ast.While():
                self.expression(node.test, site)
                self.branch(node.body, site, node, "body")
                self.branch(node.orelse, site, node, "else")
            case ast.For() | ast.AsyncFor():
                self.expression(node.iter, site)
                inside = Site(site.scope, site.position, (*site.path, (id(node), "body")))
                self.loop_target(node.target, node.iter, inside)
                self.branch(node.body, site, node, "body")
                self.branch(node.orelse, site, node, "else")
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self.expression(item.context_expr, site)
                    if item.optional_vars is not None:
                        self.target(item.optional_vars, item.context_expr, site, site.position)
                # What a with statement holds runs whenever the statement does.
                self.block(node.body, site)
            case ast.Try() | ast.TryStar():
                self.branch(node.body, site, node, "try")
                for handler in node.handlers:
                    self.branch(handler.body, site, node, "except")
                self.branch(node.orelse, site, node, "try")
                self.block(node.finalbody, site)
            case ast.Match():
                self.expression(node.subject, site)
                for number, case in enumerate(node.cases):
                    self.branch(case.body, site, node, f"case {number}")
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.expression(child, site)

    def function(self, node: FunctionNode, site: Site) -> Scope:
        scope = Scope(node, site.scope, site)
        self.names.scopes[node] = scope
        if not isinstance(node, ast.Lambda):
            self.names.functions.setdefault(node.name, []).append(scope)
        inside = Site(scope, (node.lineno, node.col_offset), ())
        for index, (argument, default) in enumerate((*parameters(node), *keyword_parameters(node))):
            found = Binding("parameter", default, site, START, index=index)
            scope.bindings.setdefault(argument.arg, []).append(found)
        for extra in (node.args.vararg, node.args.kwarg):
            if extra is not None:
                scope.bindings.setdefault(extra.arg, []).append(Binding("other", None, site, START))
        if isinstance(node, ast.Lambda):
            self.expression(node.body, inside)
        else:
            self.block(node.body, inside)
        return scope

    def bind(self, name: str, binding: Binding) -> None:
        binding.site.scope.bindings.setdefault(name, []).append(binding)

    def target(self, target: ast.expr, value: ast.expr, site: Site, end: Position) -> None:
        match target:
            case ast.Name():
                self.bind(target.id, Binding("value", value, site, end))
            case ast.Tuple() | ast.List():
                self.unpacked(target, value, site, end)
            case ast.Starred():
                self.target_of_unknown(target.value, site, end)
            case ast.Attribute() | ast.Subscript():
                self.give(target, Given(value, site, end))
                self.expression(target.value, site)

    def unpacked(self, target: ast.Tuple | ast.List, value: ast.expr, site: Site, end: Position) -> None:
        pairwise = (
            isinstance(value, ast.Tuple | ast.List)
            and len(value.elts) == len(target.elts)
            and not any(isinstance(part, ast.Starred) for part in (*value.elts, *target.elts))
        )
        for index, part in enumerate(target.elts):
            if pairwise and isinstance(value, ast.Tuple | ast.List):
                self.target(part, value.elts[index], site, end)
            elif isinstance(part, ast.Name):
                self.bind(part.id, Binding("part", value, site, end, index=index))
            elif isinstance(part, ast.Attribute | ast.Subscript):
                self.give(part, Given(value, site, end, index=index))
            else:
                self.target_of_unknown(part, site, end)

    def target_of_unknown(self, target: ast.expr, site: Site, end: Position) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self.bind(node.id, Binding("other", None, site, end))

    def loop_target(self, target: ast.expr, iterated: ast.expr, site: Site) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, Binding("loop", iterated, site, site.position))
        else:
            self.target_of_unknown(target, site, site.position)

    def augmented(self, node: ast.AugAssign, site: Site) -> None:
        if isinstance(node.target, ast.Name | ast.Attribute) and isinstance(node.op, ast.Add):
            self.names.additions.setdefault(dotted(node.target), []).append(Given(node.value, site, _end(node)))
        old: ast.expr
        if isinstance(node.target, ast.Name):
            old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            value = ast.copy_location(ast.BinOp(old, node.op, node.value), node)
            self.bind(node.target.id, Binding("value", value, site, _end(node)))

    def give(self, target: ast.Attribute | ast.Subscript, given: Given) -> None:
        text = dotted(target)
        if not text:
            return
        self.names.given.setdefault(text, []).append(given)
        owner = given.site.scope.owner
        base, _, rest = text.partition(".")
        method = given.site.scope.method()
        if owner is not None and method is not None and rest and base == _first_parameter(method):
            self.names.attributes.setdefault((id(owner), rest), []).append(given)

    def added(self, node: ast.Call, func: ast.Attribute, site: Site) -> None:
        argument = node.args[0]
        if func.attr in ("append", "add_param_group"):
            argument = ast.copy_location(ast.List([argument], ast.Load()), argument)
        elif func.attr != "extend":
            return
        self.names.additions.setdefault(dotted(func.value), []).append(Given(argument, site, _end(node)))

    def expression(self, node: ast.expr, site: Site) -> None:
        if isinstance(node, ast.Name | ast.Constant):
            return
        if isinstance(node, ast.Lambda):
            for default in _defaults(node):
                self.expression(default, site)
            self.function(node, site)
            return
        if isinstance(node, ast.NamedExpr):
            self.target(node.target, node.value, site, _end(node))
        if isinstance(node, ast.Call):
            here = Site(site.scope, (node.lineno, node.col_offset), site.path)
            self.names.calls.append(Call(node, here))
            if isinstance(node.func, ast.Attribute) and node.args:
                self.added(node, node.func, here)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child, site)
            elif isinstance(child, ast.keyword):
                self.expression(child.value, site)
            elif isinstance(child, ast.comprehension):
                self.expression(child.iter, site)
                for condition in child.ifs:
                    self.expression(condition, site)


def _first_parameter(method: Scope) -> str:
    node = method.node
    if isinstance(node, ast.ClassDef | ast.Module):
        return ""
    found = parameters(node)
    return found[0][0].arg if found else ""


def _defaults(node: FunctionNode) -> Iterator[ast.expr]:
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default is not None)


def _end(node: ast.stmt | ast.expr) -> Position:
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
