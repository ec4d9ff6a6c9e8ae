"""What part trainings save: epochs until a method reaches what fifty full random trainings do.

Nothing is trained: the curves are those of the tables. A method trains one epoch after the other, until it has spent as
many as fifty full trainings have. What counts is the best loss after any epoch so far, as all of them keep the best
epoch's weights. The goal is the median best of fifty random combinations trained in full.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import choritsu
from benchmarks.searching.curves import TABLES, Table
from benchmarks.searching.training import FULL

ROOT = Path(__file__).parents[2]
METHODS = {
    "choritsu-random": ("choritsu", "benchmarks.searching.players.ours_in_part:full"),
    "choritsu-hyperband": ("choritsu", "benchmarks.searching.players.ours_in_part:hyperband"),
    "choritsu-asha": ("choritsu", "benchmarks.searching.players.ours_in_part:asha"),
    "choritsu-bayes": ("choritsu", "benchmarks.searching.players.ours_in_part:bayesian"),
    "choritsu-hyperband-bayes": ("choritsu", "benchmarks.searching.players.ours_in_part:hyperband_bayesian"),
    "choritsu-asha-bayes": ("choritsu", "benchmarks.searching.players.ours_in_part:asha_bayesian"),
    "optuna-tpe-hyperband": ("optuna", "benchmarks.searching.players.of_optuna:tpe_hyperband"),
    "keras-tuner-hyperband": ("keras-tuner", "benchmarks.searching.players.of_keras_tuner:hyperband"),
    "syne-tune-asha-cqr": ("syne-tune", "benchmarks.searching.players.of_syne_tune:asha_cqr"),
    "syne-tune-asha-bore": ("syne-tune", "benchmarks.searching.players.of_syne_tune:asha_bore"),
    "syne-tune-bohb": ("syne-tune", "benchmarks.searching.players.of_syne_tune:bohb"),
}


def goal(table: Table) -> float:
    """Give the median best of full random trainings."""
    rng = np.random.default_rng(0)
    curves = table.losses.reshape(-1, table.epochs)
    bests = np.nanmin(np.where(np.isnan(curves), np.inf, curves), 1)
    return float(np.median([rng.choice(bests, FULL, replace=False).min() for _ in range(4000)]))


def compare(chosen: Sequence[str] | None, pythons: Mapping[str, str], seeds: int, results: Path) -> None:
    """Run what has not been run, and tell what came out."""
    tables = [table for table in TABLES.values() if table.epochs > 1]
    done = {(row["method"], row["table"], row["seed"]): row for row in _rows(results)}
    for name in chosen or METHODS:
        for table in tables:
            for seed in range(seeds):
                if (name, table.name, seed) in done:
                    continue
                row = _played(name, table.name, seed, pythons)
                if "error" in row:
                    print(f"{name} skipped: {row['error']}", flush=True)
                    break
                done[name, table.name, seed] = row
                with results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            else:
                continue
            break
    for table in tables:
        print(_told(table, [row for row in done.values() if row["table"] == table.name]))


def _rows(results: Path) -> Iterator[dict[str, Any]]:
    if results.exists():
        yield from map(json.loads, results.read_text().splitlines())


def _played(name: str, table: str, seed: int, pythons: Mapping[str, str]) -> dict[str, Any]:
    package, method = METHODS[name] if name in METHODS else ("choritsu", name.rpartition("=")[2])
    paths = os.pathsep.join([str(Path(choritsu.__file__).parents[1]), str(ROOT), os.environ.get("PYTHONPATH", "")])
    played = subprocess.run(
        [pythons.get(package, sys.executable), "-m", "benchmarks.searching.players.trains", method, table, str(seed)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        check=False,
    )
    if played.returncode:
        return {"error": (played.stderr.strip().splitlines() or ["its process has ended"])[-1]}
    return {"method": name, "table": table, "seed": seed, **json.loads(played.stdout.splitlines()[-1])}


def _told(table: Table, rows: Sequence[Mapping[str, Any]]) -> str:
    aim, epochs = goal(table), FULL * table.epochs
    lines = [
        "",
        f"{table.name}: {table.about}",
        f"epochs until {aim:.5g}, the median best of {FULL} full random trainings, which take {epochs}; and the best "
        f"loss after {epochs // 4} and {epochs} epochs; medians of seeds",
    ]
    for name in dict.fromkeys(row["method"] for row in rows):
        held = [dict(row["improvements"]) for row in rows if row["method"] == name]
        reached = [min((at for at, loss in told.items() if loss <= aim), default=math.inf) for told in held]
        quarter, whole = (
            statistics.median(
                min((loss for at, loss in told.items() if at <= limit), default=math.inf) for told in held
            )
            for limit in (epochs // 4, epochs)
        )
        share = sum(map(math.isfinite, reached)) / len(reached)
        middle = statistics.median(reached)
        lines.append(
            f"{name:24} {middle:6.0f} epochs ({share:4.0%} of {len(held)} get there)  {quarter:.5g}  {whole:.5g}"
        )
    return "\n".join(lines)
