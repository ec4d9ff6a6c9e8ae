"""Statements of a schedule's function, followed over all ways through them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from choritsu.lint import quantities as q
from choritsu.lint.names import dotted
from choritsu.lint.quantities import Quantity
from choritsu.lint.things import Frame, Items, Nothing, Reader, Text, Value

#: How many ways are followed at once.
WAYS = 16
#: Longer loops are not followed to their end.
ROUNDS = 200


@dataclass
class Flow:
    """What a block of statements came to: values returned, and variables where it goes on."""

    returned: list[Value] = field(default_factory=list)
    live: list[dict[str, Value]] = field(default_factory=list)
    left: list[dict[str, Value]] = field(default_factory=list)


@dataclass(frozen=True)
class Runner:
    """Follows blocks of statements.

    Args:
        reader: tells what their expressions are.
    """

    reader: Reader

    def run(self, body: Sequence[ast.stmt], live: list[dict[str, Value]], frame: Frame) -> Flow:
        """Follow a block.

        Args:
            body: its statements.
            live: the variables of each way that comes to it.
            frame: where it stands.
        """
        flow = Flow(live=live)
        for statement in body:
            if not flow.live or self.reader.exhausted():
                break
            going = flow.live[:WAYS]
            flow.live = []
            for variables in going:
                here = Frame(
                    replace(frame.site, position=(statement.lineno, statement.col_offset)), variables, frame.outer
                )
                self._step(statement, variables, here, flow)
        return flow

    def _step(self, node: ast.stmt, variables: dict[str, Value], frame: Frame, flow: Flow) -> None:
        match node:
            case ast.Return():
                flow.returned.extend(self.reader.values(node.value, frame) if node.value is not None else [Nothing()])
                return
            case ast.Raise():
                return
            case ast.Break() | ast.Continue():
                flow.left.append({**variables, "": Text("break" if isinstance(node, ast.Break) else "continue")})
                return
            case ast.If():
                holds = self.reader.test(node.test, frame)
                for taken, body in ((True, node.body), (False, node.orelse)):
                    if holds is None or holds is taken:
                        self._into(self.run(body, [dict(variables)], frame), flow)
                return
            case ast.With() | ast.AsyncWith():
                self._into(self.run(node.body, [variables], frame), flow)
                return
            case ast.Try() | ast.TryStar():
                self._into(self.run([*node.body, *node.orelse, *node.finalbody], [variables], frame), flow)
                return
            case ast.For():
                self._for(node, variables, frame, flow)
                return
            case ast.While():
                self._while(node, variables, frame, flow)
                return
            case ast.Match():
                for case in node.cases:
                    self._into(self.run(case.body, [dict(variables)], frame), flow)
            case ast.FunctionDef():
                variables[node.name] = self.reader.function(node, frame)
            case ast.Assign():
                values = self.reader.values(node.value, frame)
                for target in node.targets:
                    self._store(target, values, variables)
            case ast.AnnAssign() if node.value is not None:
                self._store(node.target, self.reader.values(node.value, frame), variables)
            case ast.AugAssign():
                changed = ast.copy_location(ast.BinOp(node.target, node.op, node.value), node)
                self._store(node.target, self.reader.values(changed, frame), variables)
        flow.live.append(variables)

    @staticmethod
    def _into(inner: Flow, flow: Flow) -> None:
        flow.returned.extend(inner.returned)
        flow.live.extend(inner.live)
        flow.left.extend(inner.left)

    def _store(self, target: ast.expr, values: list[Value], variables: dict[str, Value]) -> None:
        match target:
            case ast.Name():
                variables[target.id] = self.reader.one(self.reader.named(target.id, values, inside=True))
            case ast.Attribute():
                variables[dotted(target)] = self.reader.one(values)
            case ast.Tuple() | ast.List():
                for index, part in enumerate(target.elts):
                    parts: list[Value] = [
                        value.items[index] if isinstance(value, Items) and index < len(value.items) else q.UNKNOWN
                        for value in values
                    ]
                    self._store(part, parts, variables)

    def _for(self, node: ast.For, variables: dict[str, Value], frame: Frame, flow: Flow) -> None:
        rounds = self._rounds(node.iter, frame)
        if rounds is None:
            # Nobody knows how often: once, or not at all.
            inner = self.run(node.body, [self._looped(node.target, q.UNKNOWN, dict(variables))], frame)
            flow.returned.extend(inner.returned)
            flow.live.extend([variables, *inner.live, *inner.left])
            return
        live = [variables]
        done: list[dict[str, Value]] = []
        for value in rounds:
            if not live:
                break
            inner = self.run(node.body, [self._looped(node.target, value, one) for one in live], frame)
            flow.returned.extend(inner.returned)
            live = inner.live[: WAYS // 2]
            for one in inner.left:
                (done if one.pop("") == Text("break") else live).append(one)
        flow.live.extend((live + done)[:WAYS])

    def _looped(self, target: ast.expr, value: Value, variables: dict[str, Value]) -> dict[str, Value]:
        self._store(target, [value], variables)
        return variables

    def _rounds(self, node: ast.expr, frame: Frame) -> list[Value] | None:
        if isinstance(node, ast.Call) and dotted(node.func) == "range" and 1 <= len(node.args) <= 3:
            numbers = [self.reader.decisive(self.reader.quantity(part, frame)) for part in node.args]
            limits = [int(number) for number in numbers if number is not None and abs(number) < 1e9]
            if len(limits) != len(node.args) or (len(limits) == 3 and limits[2] == 0):
                return None
            counted = range(*limits)
            return [Quantity(number=float(i)) for i in counted] if len(counted) <= ROUNDS else None
        if isinstance(node, ast.Call) and dotted(node.func) in ("enumerate", "zip"):
            parts = [self._rounds(part, frame) for part in node.args]
            listed = [part for part in parts if part is not None]
            if len(listed) != len(parts):
                return None
            if dotted(node.func) == "enumerate":
                listed = [[Quantity(number=float(i)) for i in range(len(listed[0]))], listed[0]]
            return [Items(tuple(row)) for row in zip(*listed, strict=False)]
        match self.reader.values(node, frame):
            case [Items(items, False)] if len(items) <= ROUNDS:
                return list(items)
        return None

    def _while(self, node: ast.While, variables: dict[str, Value], frame: Frame, flow: Flow) -> None:
        live = variables
        for _ in range(ROUNDS):
            here = Frame(frame.site, live, frame.outer)
            holds = self.reader.test(node.test, here)
            if holds is False:
                flow.live.append(live)
                return
            inner = self.run(node.body, [dict(live)], here)
            flow.returned.extend(inner.returned)
            if holds is None or len(inner.live) != 1:
                flow.live.extend([live, *inner.live, *inner.left])
                return
            live = inner.live[0]
        flow.live.append(live)
