"""Finds the losses by which regret is scaled: what random combinations reach, and the best that is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import numpy as np

from benchmarks.searching.problems import REFERENCES, Problem, Values
from choritsu.space import Choice, Space

SAMPLES = 10_000


def drawn(space: Space, rng: np.random.Generator) -> dict:
    return space.assign(lambda parameter: parameter.from_unit(rng.random()))


def moved(space: Space, values: Values, rng: np.random.Generator) -> dict:
    """Change a few values, by steps of all sizes."""
    share = rng.choice([0.1, 0.3, 1.0])
    width = 10 ** rng.uniform(-5, -0.3)

    def choose(parameter):
        if parameter.name not in values or not parameter.contains(values[parameter.name]):
            return parameter.from_unit(rng.random())
        if rng.random() > share:
            return values[parameter.name]
        if isinstance(parameter, Choice) and not parameter.ordered:
            return parameter.from_unit(rng.random())
        size = 1 / parameter.size if parameter.size else 0.0
        u = parameter.to_unit(values[parameter.name]) + rng.normal(0, max(width, 0.7 * size))
        return parameter.from_unit(min(max(u, 0.0), 1.0))

    return space.assign(choose)


def loss_of(problem: Problem, values: Values) -> float:
    loss, _ = problem.evaluate(values, 0)
    return math.inf if math.isnan(loss) else loss


def reference(problem: Problem, steps: int) -> dict[str, float]:
    """Sample, then climb from the best ones."""
    rng = np.random.default_rng(0)
    sampled = [drawn(problem.space, rng) for _ in range(SAMPLES)]
    losses = [loss_of(problem, values) for values in sampled]
    starts = [sampled[i] for i in np.argsort(losses)[:8]]
    best = min(losses)
    for start in [*starts, *([problem.hint] if problem.hint else [])]:
        here, reached = start, loss_of(problem, start)
        for _ in range(steps):
            there = moved(problem.space, here, rng)
            loss = loss_of(problem, there)
            if loss <= reached:
                here, reached = there, loss
        best = min(best, reached)
    return {"best": best, "typical": float(np.median(losses)), "failed": float(np.mean(np.isinf(losses)))}


def write(chosen: Iterable[Problem]) -> None:
    known = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {}
    for problem in chosen:
        found = reference(problem, steps=300 if "live" in problem.loss.__module__ else 4000)
        better = known.get(problem.name, {}).get("best", math.inf)
        known[problem.name] = found
        print(
            f"{problem.name:20} best {found['best']:.6g} (was {better:.6g})  typical {found['typical']:.6g}  "
            f"failed {found['failed']:.0%}",
            flush=True,
        )
        REFERENCES.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
