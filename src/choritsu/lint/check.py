"""Checking files: read, judge every call, leave out what a comment silences."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from choritsu.errors import ChoritsuError
from choritsu.lint.finding import RULES, UNREADABLE, Finding, Outcome
from choritsu.lint.keras_rules import check_keras
from choritsu.lint.names import Call, FunctionNode, collect
from choritsu.lint.our_rules import check_ours
from choritsu.lint.sources import Source, UnreadableError, find, parse, read
from choritsu.lint.steps import check_steps
from choritsu.lint.torch_rules import check_ends, check_torch
from choritsu.lint.values import Evaluator
from choritsu.lint.verdicts import Verdict

_SILENCED = re.compile(r"#\s*choritsu:\s*ok\b", re.IGNORECASE)


@dataclass(frozen=True)
class Report:
    """What was found in all files.

    Args:
        findings: in the order of files and lines, whatever their outcome.
        files: how many files were looked at.
    """

    findings: tuple[Finding, ...]
    files: int

    def shown(self, everything: bool = False) -> tuple[Finding, ...]:
        """Give what people want to see: mistakes and unreadable files, or all.

        Args:
            everything: also what is fine, and what cannot be told.
        """
        wanted = (Outcome.mistake, Outcome.unreadable)
        return tuple(finding for finding in self.findings if everything or finding.outcome in wanted)

    @property
    def mistakes(self) -> int:
        """How many mistakes there are."""
        return sum(finding.outcome is Outcome.mistake for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """1 if there is a mistake, 2 if there is none but a file could not be read, else 0."""
        if self.mistakes:
            return 1
        return 2 if any(finding.outcome is Outcome.unreadable for finding in self.findings) else 0


def check_paths(paths: Iterable[Path | str], select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
    r"""Check files and directories; nothing in them is run.

    Args:
        paths: scripts, notebooks, and directories of them.
        select: the codes of the only rules wanted; empty for all.
        ignore: the codes of rules not wanted.

    Raises:
        ChoritsuError: a path is not there, or a code is not known.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "train.py")
        ...     _ = file.write_text(
        ...         "from torch.optim import SGD, lr_scheduler\n"
        ...         "optimizer = SGD(net.parameters(), lr=0.01)\n"
        ...         "scheduler = lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.01 * 0.9 ** epoch)\n"
        ...     )
        ...     report = check_paths([folder])
        >>> [(finding.line, finding.rule) for finding in report.shown()]
        [(3, 'LR001')]
    """
    wanted = _wanted(select, ignore)
    given = [Path(path) for path in paths]
    by_name = frozenset(given)
    findings: list[Finding] = []
    files = 0
    try:
        for path in find(given):
            files += 1
            with _uncollected():
                findings.extend(_checked(path, named=path in by_name))
    except FileNotFoundError as error:
        raise ChoritsuError(str(error)) from error
    return Report(tuple(finding for finding in sorted(findings) if finding.rule in wanted), files)


def check_text(text: str | bytes, path: str = "<text>") -> tuple[Finding, ...]:
    """Check one piece of Python, or a notebook's JSON.

    Args:
        text: the source.
        path: its name; a notebook ends in .ipynb.

    Example:
        >>> check_text("print(1)")
        ()
    """
    data = text.encode("utf-8", errors="surrogatepass") if isinstance(text, str) else text
    try:
        return tuple(sorted(_judged(parse(data, path))))
    except UnreadableError as error:
        return (_unreadable(path, error),)


@contextmanager
def _uncollected() -> Iterator[None]:
    # A syntax tree is many objects and no garbage; looking for some in it again and again takes as long as the rest.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _wanted(select: Sequence[str], ignore: Sequence[str]) -> frozenset[str]:
    known = {rule.code for rule in RULES}
    for code in (*select, *ignore):
        if code.upper() not in known:
            raise ChoritsuError(f"there is no rule {code}; the rules are {', '.join(sorted(known))}")
    chosen = {code.upper() for code in select} or known
    return frozenset(chosen - {code.upper() for code in ignore})


def _checked(path: Path, *, named: bool) -> Iterator[Finding]:
    try:
        source = read(path, named=named)
        if source is not None:
            yield from _judged(source)
    except UnreadableError as error:
        yield _unreadable(str(path), error)


def _unreadable(path: str, error: UnreadableError) -> Finding:
    return Finding(path, error.line, 1, UNREADABLE.code, Outcome.unreadable, error.reason)


def _judged(source: Source) -> Iterator[Finding]:
    for reason, line in source.damage:
        cell, place = source.place(line)
        message = f"{reason}; the rest was checked"
        yield Finding(source.path, place, 1, UNREADABLE.code, Outcome.unreadable, message, cell=cell)
    try:
        yield from _findings(source)
    except RecursionError:
        yield Finding(source.path, 1, 1, UNREADABLE.code, Outcome.unreadable, "it is nested too deeply to be checked")


def _findings(source: Source) -> Iterator[Finding]:
    names = collect(source.tree)
    evaluator = Evaluator(names)
    for call in names.calls:
        checks = (check_torch, check_ends, check_keras, check_ours)
        for verdict in (verdict for check in checks for verdict in check(call, evaluator)):
            yield from _placed(source, call.node, verdict, _functions_lines(call, names.functions))
    for node, verdict in check_steps(names):
        yield from _placed(source, node, verdict, ())


def _functions_lines(call: Call, functions: object) -> tuple[int, ...]:
    """The lines of the definitions that a call names, where a comment may stand as well."""
    wanted = {part.id for part in ast.walk(call.node) if isinstance(part, ast.Name)}
    wanted |= {part.attr for part in ast.walk(call.node) if isinstance(part, ast.Attribute)}
    assert isinstance(functions, dict)
    return tuple(
        scope.node.lineno
        for name in wanted
        for scope in functions.get(name, ())
        if isinstance(scope.node, FunctionNode)
    )


def _placed(source: Source, node: ast.Call, verdict: Verdict, also: tuple[int, ...]) -> Iterator[Finding]:
    end = node.end_lineno or node.lineno
    lines = (*range(node.lineno, end + 1), *also)
    if any(_SILENCED.search(source.lines[line - 1]) for line in lines if line <= len(source.lines)):
        return
    cell, line = source.place(node.lineno)
    yield Finding(
        source.path,
        line,
        node.col_offset + 1,
        verdict.rule.code,
        verdict.outcome,
        verdict.message,
        verdict.fix,
        cell,
        source.place(end)[1],
    )
