"""What a problem is, and the list of all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from choritsu.space import Space

#: The losses by which regret is scaled; `python -m benchmarks.searching references` computes them anew.
REFERENCES = Path(__file__).parent / "references.json"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something to tune.

    Args:
        name: unique among the problems.
        about: what is hard or usual about it, in a sentence.
        space: what can be chosen.
        loss: gives the loss without noise; nan, or an exception, where the training fails.
        observe: gives the loss as one training would show it; its second argument is a seed. By default there is
            no noise, and it is the loss itself.
        hint: a combination that is known to be good, for the search of the best loss.
    """

    name: str
    about: str
    space: Space
    loss: Callable[[Values], float]
    observe: Callable[[Values, int], float] | None = None
    hint: Values | None = None

    def evaluate(self, values: Values, seed: int) -> tuple[float, float]:
        """Give the loss without noise and the one observed, both nan where the training failed."""
        try:
            loss = self.loss(values)
            observed = loss if self.observe is None else self.observe(values, seed)
        except (ArithmeticError, ValueError, MemoryError):
            return math.nan, math.nan
        return (loss, observed) if math.isfinite(loss) and math.isfinite(observed) else (math.nan, math.nan)

    @cached_property
    def best(self) -> float:
        """The best loss known."""
        return self._reference["best"]

    @cached_property
    def typical(self) -> float:
        """The median loss of 10,000 random combinations, of which failed ones count as the worst."""
        return self._reference["typical"]

    @cached_property
    def _reference(self) -> dict[str, float]:
        return json.loads(REFERENCES.read_text())[self.name]

    def regret(self, loss: float) -> float:
        """Scale a loss: 0 is the best known, 1 what half of all random combinations reach; nan and worse count as 1.

        The median is taken, and not the mean or the worst, since a single diverged training would shrink everything
        else to nothing.
        """
        if math.isnan(loss):
            return 1.0
        return min(max((loss - self.best) / (self.typical - self.best), 0.0), 1.0)


def problems() -> dict[str, Problem]:
    """Give all problems by name."""
    from benchmarks.searching import curves, live, synthetic

    return {problem.name: problem for problem in (*synthetic.problems(), *curves.problems(), *live.problems())}
