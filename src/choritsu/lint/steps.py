"""The order of steps in a training loop: first the optimizer's, then the scheduler's."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from choritsu.lint.finding import STEP_ORDER, Outcome
from choritsu.lint.imports import comes_from
from choritsu.lint.names import FunctionNode, Names, Scope, Site, dotted
from choritsu.lint.verdicts import Verdict

#: PyTorch's schedulers whose ``step()`` takes nothing.
SCHEDULERS = frozenset(
    "LambdaLR MultiplicativeLR StepLR MultiStepLR ConstantLR LinearLR ExponentialLR PolynomialLR CosineAnnealingLR "
    "CosineAnnealingWarmRestarts CyclicLR OneCycleLR".split()
)


@dataclass(frozen=True)
class Pair:
    """A scheduler and the optimizer it was made for, both by their dotted names."""

    scheduler: str
    optimizer: str
    scope: Scope


def check_steps(names: Names) -> Iterator[tuple[ast.Call, Verdict]]:
    """Find loops that step a scheduler before its optimizer has ever stepped.

    Args:
        names: the file.
    """
    pairs = list(_pairs(names))
    told: set[ast.AST] = set()
    for pair in pairs:
        made = [other for other in pairs if other.scheduler == pair.scheduler]
        if len({other.optimizer for other in made}) > 1:
            continue
        for scope in names.scopes.values():
            if not _shares(pair, scope) or isinstance(scope.node, ast.Lambda | ast.ClassDef):
                continue
            found = _early(scope.node.body, pair, names)
            if found is not None and found not in told:
                told.add(found)
                yield found, _verdict(pair)


def _verdict(pair: Pair) -> Verdict:
    return Verdict(
        STEP_ORDER,
        Outcome.mistake,
        f"{pair.scheduler}.step() comes before {pair.optimizer}.step() in the loop: the first rate of the schedule is "
        "never used, and every later one comes a step early",
        f"{pair.scheduler}.step() at the end of the loop, after the batches",
    )


def _pairs(names: Names) -> Iterator[Pair]:
    for node, site in _assignments(names):
        call = node.value
        if not isinstance(call, ast.Call):
            continue
        path = dotted(call.func)
        last = path.rpartition(".")[2]
        words = {word.arg: word.value for word in call.keywords}
        optimizer = dotted(call.args[0]) if call.args else dotted(words.get("optimizer", call.func))
        if last not in SCHEDULERS or not optimizer or not comes_from(path, site, names, ("torch",)):
            continue
        if "last_epoch" in words:
            continue
        for target in node.targets:
            # Who sets the counter by hand may well step first.
            if dotted(target) and f"{dotted(target)}.last_epoch" not in names.given:
                yield Pair(dotted(target), optimizer, site.scope)


def _assignments(names: Names) -> Iterator[tuple[ast.Assign, Site]]:
    for scope in list(names.scopes.values()):
        if isinstance(scope.node, ast.Lambda):
            continue
        for node in _statements(scope.node.body):
            if isinstance(node, ast.Assign):
                yield node, Site(scope, (node.lineno, node.col_offset), ())


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for block in _blocks(node):
            yield from _statements(block)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
    for handler in getattr(node, "handlers", ()):
        yield handler.body
    for case in getattr(node, "cases", ()):
        yield case.body


def _shares(pair: Pair, scope: Scope) -> bool:
    """Whether the pair's names mean the same things in a scope."""
    if scope is pair.scope:
        return True
    if pair.scheduler.startswith("self.") and pair.optimizer.startswith("self."):
        return scope.owner is not None and scope.owner is pair.scope.owner
    # A module's names, used in its functions.
    first = pair.scheduler.partition(".")[0]
    return isinstance(pair.scope.node, ast.Module) and first not in scope.bindings


def _early(body: Sequence[ast.stmt], pair: Pair, names: Names) -> ast.Call | None:
    """Give the scheduler's step that comes first in some loop; None once the optimizer has stepped."""
    for node in body:
        if isinstance(node, ast.For | ast.While | ast.AsyncFor):
            found = _early_in_loop(node.body, pair, names)
            if found is not None:
                return found
        if _mentions_step(node, pair.optimizer, names):
            return None
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in _blocks(node):
                if isinstance(node, ast.For | ast.While | ast.AsyncFor):
                    continue
                found = _early(block, pair, names)
                if found is not None:
                    return found
    return None


def _early_in_loop(body: Sequence[ast.stmt], pair: Pair, names: Names) -> ast.Call | None:
    first: ast.Call | None = None
    for node in body:
        step = _plain_step(node, pair.scheduler)
        if step is not None and first is None:
            first = step
        elif isinstance(node, ast.With | ast.AsyncWith) and first is None:
            return _early_in_loop([*node.body, *body[body.index(node) + 1 :]], pair, names)
        elif _mentions_step(node, pair.optimizer, names):
            return (
                first if first is not None or not isinstance(node, ast.For | ast.While) else _nested(node, pair, names)
            )
    return None


def _nested(node: ast.For | ast.While, pair: Pair, names: Names) -> ast.Call | None:
    return _early_in_loop(node.body, pair, names)


def _plain_step(node: ast.stmt, scheduler: str) -> ast.Call | None:
    """The statement ``scheduler.step()``, which takes nothing."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return None
    call = node.value
    wanted = dotted(call.func) == f"{scheduler}.step" and not call.args and not call.keywords
    return call if wanted else None


def _mentions_step(node: ast.AST, optimizer: str, names: Names, depth: int = 0) -> bool:
    for part in ast.walk(node):
        if not isinstance(part, ast.Call):
            continue
        path = dotted(part.func)
        if path == f"{optimizer}.step":
            return True
        given = [dotted(argument) for argument in (*part.args, *(word.value for word in part.keywords))]
        last = path.rpartition(".")[2]
        if last in ("step", "optimizer_step", "run_iteration", "minimize") and optimizer in given:
            # A gradient scaler's step.
            return True
        if depth < 2 and _function_steps(part, given, last, optimizer, names, depth):
            return True
    return False


def _function_steps(call: ast.Call, given: list[str], name: str, optimizer: str, names: Names, depth: int) -> bool:
    defined = names.functions.get(name, ())
    if len(defined) != 1 or not isinstance(defined[0].node, FunctionNode):
        return False
    node = defined[0].node
    own = optimizer
    if optimizer in given:
        places = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        shift = 1 if places[:1] == ["self"] else 0
        index = given.index(optimizer)
        own = ""
        if index < len(call.args):
            own = places[index + shift] if index + shift < len(places) else ""
        else:
            own = call.keywords[index - len(call.args)].arg or ""
    elif optimizer.partition(".")[0] in defined[0].bindings and not optimizer.startswith("self."):
        return False
    if not own or isinstance(node, ast.Lambda):
        return False
    return any(_mentions_step(part, own, names, depth + 1) for part in node.body)
