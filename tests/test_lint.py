"""What check-lr says of right and wrong code, and that nothing it reads can hurt it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from choritsu.errors import ChoritsuError
from choritsu.lint import (
    FORMATS,
    RULES,
    Outcome,
    as_github,
    as_json,
    as_sarif,
    as_text,
    check_paths,
    check_text,
)

CASES = Path(__file__).parent / "lint_cases"
SQUARED = """\
import torch
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 1e-3 * 0.9**epoch)
"""


def cases():
    for file in sorted(CASES.glob("*.txt")):
        for part in re.split(r"^### ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            heading, _, code = part.partition("\n")
            wanted, _, name = heading.partition(" ")
            yield pytest.param(wanted, code, id=f"{file.stem}: {name}")


@pytest.mark.parametrize(("wanted", "code"), list(cases()))
def test_cases(wanted, code):
    findings = check_text(code, "train.py")
    mistakes = {finding.rule for finding in findings if finding.outcome is Outcome.mistake}
    others = {finding.outcome for finding in findings} - {Outcome.mistake}
    assert Outcome.unreadable not in others
    if wanted.startswith("LR"):
        assert mistakes == {wanted}
    else:
        assert not mistakes
        assert wanted == "fine" or Outcome.unclear in others


def test_there_are_many_cases():
    assert len(list(cases())) >= 150


def mistakes(code, path="train.py"):
    return [finding for finding in check_text(code, path) if finding.outcome is Outcome.mistake]


def test_a_finding_tells_place_reason_numbers_and_cure():
    (finding,) = mistakes(SQUARED)
    assert (finding.path, finding.line, finding.column, finding.rule) == ("train.py", 3, 9, "LR001")
    assert "1e-3 * 1e-3 = 1e-6" in finding.message
    assert "lr=1.0" in finding.fix
    assert str(finding).startswith("train.py:3:9: LR001 LambdaLR multiplies")


def test_the_advice_for_a_rate_in_force_is_a_factor_for_one_step():
    (finding,) = mistakes(SQUARED.replace("LambdaLR", "MultiplicativeLR"))
    assert "the rate in force" in finding.message
    assert finding.fix == "a factor for one step, such as lambda epoch: 0.95"


def test_every_rule_says_why_and_is_tested():
    tested = {param.values[0] for param in cases()}
    for rule in RULES:
        assert rule.why.endswith(".")
        assert rule.code in tested or rule.code == "LR000"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"def f(:\n    LambdaLR", "syntax"),
        (b"# -*- coding: klingon -*-\nLambdaLR", "klingon"),
        (b"x = '\xff' # LambdaLR", "decode"),
        (b"LambdaLR\x00", "null|source"),
        (b"LambdaLR = " + b"(" * 3000, ""),
        (b"LambdaLR = " + b"-" * 100_000 + b"1", ""),
    ],
)
def test_what_cannot_be_read_is_reported(tmp_path, data, reason):
    file = tmp_path / "bad.py"
    file.write_bytes(data)
    good = tmp_path / "good.py"
    good.write_text(SQUARED)
    report = check_paths([tmp_path])
    unreadable = [finding for finding in report.findings if finding.outcome is Outcome.unreadable]
    assert [finding.path for finding in unreadable] == [str(file)]
    assert re.search(reason, unreadable[0].message, re.IGNORECASE)
    assert report.mistakes == 1
    assert report.exit_code == 1
    assert check_paths([file]).exit_code == 2


def test_unreadable_files_without_schedules_are_nobodys_concern(tmp_path):
    (tmp_path / "template.py").write_bytes(b"{{ broken }} \xff")
    report = check_paths([tmp_path])
    assert (report.files, report.findings, report.exit_code) == (1, (), 0)


@pytest.mark.parametrize(("name", "text"), [("a.py", "def ("), ("a.ipynb", "{")])
def test_a_file_that_was_named_is_read_whatever_it_holds(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    assert check_paths([file]).exit_code == 2
    file.with_name("fine.py").write_text("x = 1\n")
    assert check_paths([file.with_name("fine.py"), tmp_path]).exit_code == 0


def test_a_rate_of_ours_that_is_passed_on_is_advised_about_as_such():
    code = SQUARED.replace("import torch", "import torch, choritsu").replace("1e-3 * 0.9**epoch", "rate(epoch)")
    (finding,) = mistakes("from choritsu.schedules import linear\nrate = 1e-3 * linear(steps=9)\n" + code)
    assert "rate.to_torch(optimizer)" in finding.fix


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "cp1251", "shift_jis"])
def test_encodings(tmp_path, encoding):
    declared = encoding.removesuffix("-sig")
    heading = "" if encoding == "utf-16" else f"# coding: {declared}\n"
    file = tmp_path / "train.py"
    file.write_bytes((heading + SQUARED).encode(encoding))
    (finding,) = check_paths([file]).shown()
    assert finding.line == 3 + heading.count("\n")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings(ending):
    (finding,) = mistakes(SQUARED.replace("\n", ending))
    assert finding.line == 3


def test_python_2_is_read_as_far_as_possible():
    findings = check_text("print 'rate', 1\n" + SQUARED, "old.py")
    assert [(finding.outcome, finding.line) for finding in findings] == [
        (Outcome.unreadable, 1),
        (Outcome.mistake, 4),
    ]


def notebook(*cells):
    return json.dumps(
        {
            "nbformat": 4,
            "cells": [
                {"cell_type": "markdown", "source": ["LambdaLR"]},
                *({"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells),
            ],
        }
    )


def test_notebooks(tmp_path):
    file = tmp_path / "train.ipynb"
    head, tail = SQUARED.split("sched", 1)
    cells = [
        "%matplotlib inline\n!pip install torch\n" + head,
        "%%bash\nls LambdaLR",
        "this is ( LambdaLR",
        "sched" + tail,
    ]
    file.write_text(notebook(*cells))
    report = check_paths([tmp_path])
    assert [(finding.cell, finding.line, finding.outcome) for finding in report.shown()] == [
        (3, 1, Outcome.unreadable),
        (4, 1, Outcome.mistake),
    ]
    assert f"{file}:cell 4:1:9" in as_text(report)
    assert "cell 4" in as_github(report).lower()


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"cells": 3}', '{"cells": [1]}', '{"worksheets": []}'])
def test_what_is_no_notebook_is_reported(text):
    (finding,) = check_text(text, "a.ipynb")
    assert finding.outcome is Outcome.unreadable


def test_nothing_is_run(tmp_path):
    marker = tmp_path / "was_here"
    line = f"open({str(marker)!r}, 'w').close()\n"
    code = "@decorator\n" + line.replace("open", "def f(x=open").rstrip()[:-8] + "): pass\n"
    (tmp_path / "train.py").write_text(line + SQUARED + f"f'{{{line.strip()}}}'\n")
    (tmp_path / "setup.py").write_text(line + code + SQUARED)
    (tmp_path / "conftest.py").write_text(line)
    assert check_paths([tmp_path]).mistakes >= 1
    assert not marker.exists()


def test_directories_of_others_are_skipped_and_loops_end(tmp_path):
    for folder in (".git", "node_modules", "venv/lib", "env", "pkg", "build"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "train.py").write_text(SQUARED)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "pkg" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "pkg" / "gone.py").symlink_to(tmp_path / "nowhere.py")
    report = check_paths([tmp_path, tmp_path / "pkg", tmp_path / "pkg" / "train.py"])
    assert [finding.path for finding in report.shown()] == [str(tmp_path / "pkg" / "train.py")]


def test_order_is_fixed(tmp_path):
    for name in ("b.py", "a.py", "c.py"):
        (tmp_path / name).write_text(SQUARED * 2)
    found = [(finding.path, finding.line) for finding in check_paths([tmp_path]).shown()]
    assert found == sorted(found)
    assert len(found) == 6


def test_a_missing_path_and_an_unknown_rule_are_refused(tmp_path):
    with pytest.raises(ChoritsuError, match="no such file"):
        check_paths([tmp_path / "nowhere"])
    with pytest.raises(ChoritsuError, match="there is no rule LR999"):
        check_paths([tmp_path], select=["LR999"])


def test_rules_can_be_chosen(tmp_path):
    (tmp_path / "train.py").write_text(SQUARED)
    assert check_paths([tmp_path], select=["lr001"]).exit_code == 1
    assert check_paths([tmp_path], select=["LR003"]).exit_code == 0
    assert check_paths([tmp_path], ignore=["LR001"]).exit_code == 0


@pytest.fixture
def report(tmp_path):
    (tmp_path / "a, b.py").write_text(SQUARED)
    (tmp_path / "fine.py").write_text(SQUARED.replace("1e-3 * ", ""))
    (tmp_path / "bad.py").write_text("LambdaLR(")
    return check_paths([tmp_path])


def test_text(report):
    assert as_text(report).endswith("3 files: 1 mistake, 1 unreadable.")
    assert len(as_text(report).splitlines()) == 3
    assert "(fine)" in as_text(report, everything=True)


def test_json(report):
    content = json.loads(as_json(report))
    assert content["files"] == 3
    assert [found["outcome"] for found in content["findings"]] == ["mistake", "unreadable"]
    assert content["findings"][0]["name"] == "rate-for-factor"
    assert len(json.loads(as_json(report, everything=True))["findings"]) == 3


def test_sarif(report):
    content = json.loads(as_sarif(report, everything=True))
    assert content["version"] == "2.1.0"
    (run,) = content["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == [rule.code for rule in RULES]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "none")
        assert result["kind"] in ("fail", "pass", "open")
        region = result["locations"][0]["physicalLocation"]["region"]
        assert 1 <= region["startLine"] <= region["endLine"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "none"]


def test_github_annotations(report):
    lines = as_github(report).splitlines()
    assert lines[0].startswith("::error file=")
    assert "a%2C b.py,line=3,endLine=3,col=9,title=LR001::" in lines[0]
    assert lines[1].startswith("::warning file=")


def test_all_formats_write_any_report(report):
    for write in FORMATS.values():
        assert isinstance(write(report, True), str)


def test_the_hook_names_the_command():
    hooks = (Path(__file__).parent.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert "id: choritsu-check-lr" in hooks
    assert "entry: choritsu check-lr" in hooks
    assert "types_or: [python, jupyter]" in hooks


WORDS = st.sampled_from(
    "LambdaLR LearningRateScheduler lambda epoch : , ( ) [ ] { } = == lr * ** / 0.1 1e-3 opt def f return if else for "
    "in range while not and or self . torch.optim.SGD optimizer step 'lr' \n \n  \n   class import from as * # % ! "
    "None True yield await async with try except del global := -> @ 9**9**9 ~ <<".split(" ")
)


@pytest.mark.slow
@given(st.one_of(st.text(), st.binary(), st.lists(WORDS, max_size=60).map(" ".join)))
@settings(max_examples=300, deadline=None)
def test_no_text_harms_the_reader(text):
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    check_text(b"# LambdaLR\n" + data, "a.py")
    check_text(data, "a.ipynb")


ALL_CODE = "\n".join(param.values[1] for param in cases())
EXPRESSIONS = sorted({ast.unparse(node) for node in ast.walk(ast.parse(ALL_CODE)) if isinstance(node, ast.expr)} - {""})


@pytest.mark.slow
@given(st.integers(0, len(ALL_CODE)), st.integers(0, 2000))
@settings(max_examples=60, deadline=None)
def test_no_slice_of_python_harms_the_reader(start, length):
    check_text(ALL_CODE[start : start + length], "a.py")


@pytest.mark.slow
@given(st.lists(st.sampled_from(EXPRESSIONS), min_size=4, max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_python_harms_the_evaluation(parts):
    value, function, rate, condition = parts
    code = f"""
x = {value}
lr = {rate}
def f(epoch, y={value}):
    z = {function}
    while {condition}:
        z = z ** z
    for i in {value}:
        z += i
    return {function} if {condition} else f(epoch)
opt = torch.optim.SGD(x, lr=lr)
LambdaLR(opt, f)
LambdaLR(opt, {function})
keras.callbacks.LearningRateScheduler(f)
model.compile({value})
"""
    try:
        ast.parse(code)
    except SyntaxError:
        return
    check_text(code, "a.py")


@pytest.mark.parametrize(
    "function",
    [
        "lambda e: 9 ** 9 ** 9 ** 9",
        "lambda e: 1e308 * 10 ** e",
        "lambda e: (lambda f: f(f))(lambda f: f(f))",
        "lambda e: [0] * 10**9",
        "lambda e: 'x' * 10**9",
        "lambda e: sum(range(10**12))",
        "lambda e: math.factorial(10**9)",
        "lambda e: 1 << 10**9",
        "f",
        "g",
    ],
)
def test_costly_functions_are_not_computed(function):
    code = """
import math
def f(e):
    while True:
        e = e + 1
def g(e):
    return g(e + 1) + g(e - 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
"""
    check_text(f"{code}\ntorch.optim.lr_scheduler.LambdaLR(opt, {function})", "a.py")
