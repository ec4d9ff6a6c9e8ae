"""What came out of playing, as lines of JSON: a file for each player."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

#: Player, problem and seed.
Key: TypeAlias = tuple[str, str, int]

#: Of so many suggestions one pace is kept.
BLOCK = 5


@dataclass(frozen=True)
class Run:
    """A player's trials on a problem.

    Args:
        player: its name.
        version: of what it comes from.
        problem: its name.
        seed: of the player and of the problem's noise.
        trials: how many there were.
        bests: each time that a trial was observed to be better than all before it, how many trials there had been,
            it included, and its loss without noise.
        paces: the median of how many seconds the processor took for a suggestion, with the telling of the loss before
            it, of each five.
        ended: why there are fewer trials than were asked for: "exhausted" or "slow".
    """

    player: str
    version: str
    problem: str
    seed: int
    trials: int
    bests: Sequence[tuple[int, float]]
    paces: Sequence[float]
    ended: str = ""

    @property
    def key(self) -> Key:
        return self.player, self.problem, self.seed

    def reached(self, trials: int) -> float:
        """Give the loss, without noise, of what had the best loss observed by then; nan until one succeeds."""
        return next((loss for at, loss in reversed(self.bests) if at <= trials), math.nan)

    def pace(self, trials: int) -> float:
        """Give how long the suggestions up to this trial's took."""
        return self.paces[min(trials, self.trials) // BLOCK - 1] if self.trials >= BLOCK else math.nan


def run_of(
    player: str,
    version: str,
    problem: str,
    seed: int,
    losses: Sequence[tuple[float, float]],
    seconds: Sequence[float],
    ended: str = "",
) -> Run:
    """Make a run of each trial's loss without noise and the one observed, both nan where it failed, and its seconds."""
    best, bests = math.inf, []
    for count, (loss, observed) in enumerate(losses, 1):
        if observed < best:
            best = observed
            bests.append((count, float(f"{loss:.8g}")))
    blocks = [seconds[start : start + BLOCK] for start in range(0, len(seconds) - BLOCK + 1, BLOCK)]
    paces = [float(f"{statistics.median(block):.3g}") for block in blocks]
    return Run(player, version, problem, seed, len(losses), bests, paces, ended)


def append(results: Path, run: Run) -> None:
    """Write a line at once, so that several processes may do so."""
    results.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(run)) + "\n"
    path = results / f"{run.player}.jsonl"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), "wb", buffering=0) as file:
        file.write(line.encode())


def read(results: Path) -> dict[Key, Run]:
    """Give the runs by player, problem and seed; of several, the last."""
    return {run.key: run for path in sorted(results.glob("*.jsonl")) for run in _lines(path)}


def sort(results: Path, players: Iterable[str]) -> None:
    """Leave one line, the last, for each problem and seed of these players, in order; others may just be playing."""
    for path in (results / f"{player}.jsonl" for player in players):
        if not path.exists():
            continue
        runs = {run.key: run for run in _lines(path)}
        path.write_text("".join(json.dumps(asdict(runs[key])) + "\n" for key in sorted(runs)))


def _lines(path: Path) -> Iterator[Run]:
    with path.open() as lines:
        for line in lines:
            yield Run(**json.loads(line))
