"""What the documents say of peers is what the runs that are kept beside the benchmark say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.searching.__main__ import PLAYED
from benchmarks.searching.players import NAMES, OURS
from benchmarks.searching.problems import problems
from benchmarks.searching.report import Comparison
from benchmarks.searching.results import Run, append, read, run_of, sort

ROOT = Path(__file__).parent.parent
MARKS = (25, 50, 100)


@pytest.fixture(scope="module")
def comparison():
    return Comparison.of(read(PLAYED).values(), None, None, None)


@pytest.fixture(scope="module")
def tables(comparison):
    return comparison.tables(MARKS, OURS, NAMES)


def test_the_guide_has_the_tables_of_the_kept_runs(tables):
    guide = (ROOT / "docs" / "better-trials.md").read_text(encoding="utf-8")
    for table in tables.split("\n\n"):
        assert table in guide, table


def test_readme_tells_their_regrets_after_fifty_trials(tables):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.search(r"^On \d+ problems .*?\n\n", readme, re.MULTILINE | re.DOTALL).group()
    rows = [row.split(" | ") for row in tables.split("\n\n")[0].splitlines()[2:]]
    assert len(rows) > 4
    for name, _, _, after_fifty, *_ in rows:
        assert after_fifty == "not run" or after_fifty.split()[0] in told, name
    assert f"On {len(problems())} problems" in told


def test_a_run_keeps_what_a_report_needs(tmp_path):
    losses = [(3.0, 3.1), (float("nan"), float("nan")), (1.0, 3.5), (2.0, 2.0), (0.5, 0.6), (4.0, 0.1)]
    run = run_of("mine", "1", "edges", 0, losses, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [run.reached(count) for count in range(1, 7)] == [3.0, 3.0, 3.0, 2.0, 0.5, 4.0]
    assert run.pace(6) == 0.3
    append(tmp_path, Run(**{**vars(run), "trials": 1}))
    append(tmp_path, run)
    append(tmp_path, Run(**{**vars(run), "problem": "cooling"}))
    sort(tmp_path, ["mine", "nobody"])
    assert [line.split('"problem": "')[1][:4] for line in (tmp_path / "mine.jsonl").read_text().splitlines()] == [
        "cool",
        "edge",
    ]
    kept = read(tmp_path)[run.key]
    assert (kept.trials, [tuple(each) for each in kept.bests], kept.paces) == (6, list(run.bests), [0.3])
