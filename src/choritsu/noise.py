"""How much the same values score differently, and what a trial is expected to score once that is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: What is expected of all trials counts for no more executions than this: where scores are mostly noise, so that their
#: true differences cannot be estimated, the scores still count.
MOST = 100.0


@dataclass(frozen=True)
class Sample:
    """What the executions of a trial scored.

    Args:
        badness: their mean, better the smaller it is.
        spread: their standard deviation (n - 1); None for a single one.
        executions: how many there were.
    """

    badness: float
    spread: float | None
    executions: int


@dataclass(frozen=True)
class Noise:
    """How much the same values score differently, and how much trials do.

    A trial's true score is held to be drawn from a normal distribution around `middle`, and each execution to add
    normal noise. The expected score of a trial then lies between its mean and `middle`, nearer to its mean the more
    executions it has: ``(n * mean + pull * middle) / (n + pull)``.

    Args:
        deviation: the noise's standard deviation.
        degrees: of how many degrees of freedom that is an estimate: executions beyond the first of each trial.
        trials: how many trials had several executions.
        middle: the median of the trials' means.
        pull: for how many executions `middle` counts: the variance of the noise, divided by that of true scores.

    Source:
        Efron, Morris, "Data analysis using Stein's estimator and its generalizations" (1975); Gelman et al., "Bayesian
        Data Analysis", third edition, section 5.4.

    Example:
        >>> noise = Noise.of([Sample(0.1, 0.2, 2), Sample(0.0, None, 1), Sample(1.0, None, 1), Sample(2.0, None, 1)])
        >>> round(noise.expected(0.1, 2), 3), round(noise.expected(0.0, 1), 3)
        (0.137, 0.084)
    """

    deviation: float
    degrees: int
    trials: int
    middle: float
    pull: float

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Noise | None:
        """Estimate the noise from repeats; None where nothing was repeated.

        Only trials better than the median tell how far true scores differ, so that a few that diverged do not.
        """
        held = [one for one in samples if math.isfinite(one.badness) and one.executions > 0]
        repeated = [
            (one.spread, one.executions - 1)
            for one in held
            if one.executions > 1 and one.spread is not None and math.isfinite(one.spread)
        ]
        if not repeated:
            return None
        degrees = sum(more for _, more in repeated)
        # Of numbers as far apart as floats can be, the squares are not.
        largest = max(spread for spread, _ in repeated) or 1.0
        relative = math.hypot(*(spread / largest * math.sqrt(more) for spread, more in repeated))
        deviation = largest * min(relative / math.sqrt(degrees), 1.0)
        middle = _median([one.badness for one in held])
        return cls(deviation, degrees, len(repeated), middle, _pull(held, middle, deviation))

    def expected(self, badness: float, executions: int) -> float:
        """Give what a trial is expected to score, by its mean over some executions."""
        share = executions / (executions + self.pull)
        return share * badness + (1.0 - share) * self.middle

    def doubt(self, executions: int) -> float:
        """Give the standard deviation of what is expected of a trial with some executions."""
        return self.deviation / math.sqrt(executions + self.pull)


def _median(numbers: Sequence[float]) -> float:
    ordered = sorted(numbers)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else low / 2 + high / 2


def _pull(held: Sequence[Sample], middle: float, deviation: float) -> float:
    better = [one for one in held if one.badness < middle]
    if deviation == 0.0:
        return 0.0
    # Halves, whose differences are finite.
    seen = math.hypot(*(one.badness / 2 - middle / 2 for one in better)) / math.sqrt(len(better) or 1)
    if seen == 0.0:
        return MOST
    ratio = deviation / 2 / seen
    squared = ratio * ratio
    left = 1.0 - squared * math.fsum(1.0 / one.executions for one in better) / len(better)
    return min(squared / left, MOST) if left > 0.0 else MOST
