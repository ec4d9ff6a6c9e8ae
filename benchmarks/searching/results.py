"""What came out of playing, as lines of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

#: Player, problem and seed.
Key: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True)
class Run:
    """A player's trials on a problem.

    Args:
        player: its name.
        version: of what it comes from.
        problem: its name.
        seed: of the player and of the problem's noise.
        losses: of each trial, without noise; None where it failed.
        observed: what the player was told.
        seconds: how long the processor took for each suggestion, with the telling of the loss before it.
        ended: why there are fewer trials than were asked for: "exhausted" or "slow".
    """

    player: str
    version: str
    problem: str
    seed: int
    losses: list[float | None]
    observed: list[float | None]
    seconds: list[float]
    ended: str = ""

    @property
    def key(self) -> Key:
        return self.player, self.problem, self.seed


def append(path: Path, run: Run) -> None:
    """Write a line at once, so that several processes may do so."""
    line = json.dumps(asdict(run)) + "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), "wb", buffering=0) as file:
        file.write(line.encode())


def read(path: Path) -> dict[Key, Run]:
    """Give the runs by player, problem and seed; of several, the last."""
    if not path.exists():
        return {}
    return {run.key: run for run in _lines(path)}


def _lines(path: Path) -> Iterator[Run]:
    with path.open() as lines:
        for line in lines:
            yield Run(**json.loads(line))
