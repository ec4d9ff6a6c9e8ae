"""A report as text, JSON, SARIF 2.1.0, or annotations of GitHub Actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType

from choritsu.lint.check import Report
from choritsu.lint.finding import RULES, Finding, Outcome


def as_text(report: Report, everything: bool = False) -> str:
    """Write findings one a line, and a summary.

    Args:
        report: what was found.
        everything: also what is fine, and what cannot be told.

    Example:
        >>> print(as_text(Report((), 3)))
        3 files: no mistakes.
    """
    lines = [str(finding) for finding in report.shown(everything)]
    files = f"{report.files} file{'' if report.files == 1 else 's'}"
    mistakes = f"{report.mistakes or 'no'} mistake{'' if report.mistakes == 1 else 's'}"
    unreadable = sum(finding.outcome is Outcome.unreadable for finding in report.findings)
    tail = f", {unreadable} unreadable" if unreadable else ""
    return "\n".join([*lines, f"{files}: {mistakes}{tail}."])


def as_json(report: Report, everything: bool = False) -> str:
    """Write a JSON object with the findings.

    Args:
        report: what was found.
        everything: also what is fine, and what cannot be told.

    Example:
        >>> json.loads(as_json(Report((), 3)))["files"]
        3
    """
    names = {rule.code: rule.name for rule in RULES}
    findings = [
        {
            "path": finding.path,
            "cell": finding.cell or None,
            "line": finding.line,
            "column": finding.column,
            "end_line": finding.end_line or finding.line,
            "rule": finding.rule,
            "name": names[finding.rule],
            "outcome": str(finding.outcome),
            "message": finding.message,
            "fix": finding.fix,
        }
        for finding in report.shown(everything)
    ]
    content = {"files": report.files, "mistakes": report.mistakes, "findings": findings}
    return json.dumps(content, indent=2, ensure_ascii=False)


_LEVELS = MappingProxyType({Outcome.mistake: "error", Outcome.unreadable: "warning"})


def as_sarif(report: Report, everything: bool = False) -> str:
    """Write a SARIF 2.1.0 log, as code hosts read it.

    Args:
        report: what was found.
        everything: also what is fine, and what cannot be told.

    Example:
        >>> json.loads(as_sarif(Report((), 3)))["version"]
        '2.1.0'
    """
    rules = [
        {
            "id": rule.code,
            "name": "".join(word.title() for word in rule.name.split("-")),
            "shortDescription": {"text": rule.name.replace("-", " ")},
            "fullDescription": {"text": rule.why},
        }
        for rule in RULES
    ]
    driver = {"name": "choritsu check-lr", "rules": rules}
    results = [_sarif_result(finding) for finding in report.shown(everything)]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _sarif_result(finding: Finding) -> dict[str, object]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    region["endLine"] = max(finding.end_line, finding.line)
    uri = PurePath(finding.path).as_posix()
    location: dict[str, object] = {"artifactLocation": {"uri": uri}}
    if not finding.cell:
        # A notebook's lines are not the lines of its file.
        location["region"] = region
    return {
        "ruleId": finding.rule,
        "ruleIndex": [rule.code for rule in RULES].index(finding.rule),
        "kind": "pass" if finding.outcome is Outcome.fine else "fail" if finding.outcome in _LEVELS else "open",
        "level": _LEVELS.get(finding.outcome, "none"),
        "message": {"text": _sentence(finding)},
        "locations": [{"physicalLocation": location}],
    }


def as_github(report: Report, everything: bool = False) -> str:
    """Write workflow commands that GitHub Actions shows beside the code.

    Args:
        report: what was found.
        everything: also what is fine, and what cannot be told.

    Example:
        >>> as_github(Report((), 3))
        ''
    """
    return "\n".join(_annotation(finding) for finding in report.shown(everything))


def _annotation(finding: Finding) -> str:
    level = _LEVELS.get(finding.outcome, "notice")
    place = f"file={_escaped(finding.path, ',:')}"
    if not finding.cell:
        place += f",line={finding.line},endLine={max(finding.end_line, finding.line)},col={finding.column}"
    return f"::{level} {place},title={_escaped(finding.rule, ',:')}::{_escaped(_sentence(finding))}"


def _escaped(text: str, more: str = "") -> str:
    for letter in "%\r\n" + more:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def _sentence(finding: Finding) -> str:
    where = f"Cell {finding.cell}, line {finding.line}: " if finding.cell else ""
    return f"{where}{finding.message}." + (f" Write: {finding.fix}." if finding.fix else "")


Writer = Callable[[Report, bool], str]

#: The formats, by name.
FORMATS: Mapping[str, Writer] = MappingProxyType(
    {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}
)


def names() -> Sequence[str]:
    """List the formats.

    Example:
        >>> names()
        ('text', 'json', 'sarif', 'github')
    """
    return tuple(FORMATS)
