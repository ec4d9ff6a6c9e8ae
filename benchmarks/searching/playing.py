"""Play: ask a player in a process of its own, evaluate here, tell it, and keep what came out."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import choritsu
from benchmarks.searching.players import Entry
from benchmarks.searching.problems import Problem, problems
from benchmarks.searching.results import Run, append, run_of
from choritsu.chance import derive

ROOT = Path(__file__).parents[2]
#: A method that has become slow is stopped after this many trials.
LEAST_TRIALS = 50
#: One thread each, for times that can be compared and runs that can be repeated.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class PlayerError(Exception):
    """A player cannot be made or has broken."""


class Table:
    """Where a player sits: its process, and the lines that go back and forth."""

    def __init__(self, entry: Entry, python: str) -> None:
        paths = os.pathsep.join([str(Path(choritsu.__file__).parents[1]), str(ROOT), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.searching.players", entry.factory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=os.environ | THREADS | {"PYTHONPATH": paths},
        )

    def say(self, **message: Any) -> dict[str, Any]:
        """Send a message and give the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '{"error": "its process has ended"}')
        except BrokenPipeError:
            answer = {"error": "its process has ended"}
        if "error" in answer:
            raise PlayerError(answer["error"])
        return answer

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Match:
    """One player on one problem, with some seeds.

    Args:
        entry: the player.
        python: the interpreter that runs it.
        problem: the problem's name.
        seeds: one run for each.
        trials: how many trials a run has.
        patience: how many seconds a suggestion may take, once `LEAST_TRIALS` are done.
        results: the folder where runs are kept.
    """

    entry: Entry
    python: str
    problem: str
    seeds: Sequence[int]
    trials: int
    patience: float
    results: Path


@dataclass(frozen=True)
class Played:
    """How a match went: the regret reached and the pace, or why there is nothing to tell."""

    match: Match
    told: str = ""
    error: str = ""

    def __str__(self) -> str:
        return f"{self.match.entry.name:22} {self.match.problem:20} {self.told or 'skipped: ' + self.error}"


def play(match: Match) -> Played:
    """Play all seeds."""
    problem = problems()[match.problem]
    runs = []
    try:
        with Table(match.entry, match.python) as table:
            for seed in match.seeds:
                runs.append(_run(table, match, problem, seed))
                append(match.results, runs[-1])
    except PlayerError as error:
        return Played(match, error=str(error))
    reached = statistics.fmean(problem.regret(run.reached(run.trials)) for run in runs)
    pace = statistics.median(run.pace(run.trials) for run in runs)
    return Played(match, f"{len(runs)} seeds  regret {reached:.4f}  {1000 * pace:.1f} ms a suggestion")


def _run(table: Table, match: Match, problem: Problem, seed: int) -> Run:
    version = table.say(begin={"space": problem.space.to_json(), "seed": seed, "trials": match.trials})["version"]
    told: dict[str, Any] | None = None
    losses: list[tuple[float, float]] = []
    seconds: list[float] = []
    ended = ""
    for number in range(match.trials):
        if number >= LEAST_TRIALS and statistics.median(seconds[-10:]) > match.patience:
            ended = "slow"
            break
        answer = table.say(ask=told)
        if answer["values"] is None:
            ended = "exhausted"
            break
        losses.append(problem.evaluate(answer["values"], derive(seed, problem.name, number)))
        seconds.append(answer["seconds"])
        observed = losses[-1][1]
        told = {"values": answer["values"], "loss": None if math.isnan(observed) else observed}
    return run_of(match.entry.name, version, problem.name, seed, losses, seconds, ended)


def interpreters(given: Sequence[str]) -> dict[str, str]:
    """Read what `--python NAME=PATH` says."""
    return {"choritsu": sys.executable, **dict(item.split("=", 1) for item in given)}
