"""What a learning-rate range test says: a curve of losses over rates, read by one rule. Plain `math`, no framework."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from choritsu.errors import ScheduleError
from choritsu.schedules.values import Rate

if TYPE_CHECKING:
    from rich.table import Table

#: With fewer rates a curve says nothing that another seed would repeat.
FEWEST = 20

#: A loss so many times its best has diverged.
DIVERGED = 4.0

#: A fall is one when it is so many times the noise from batch to batch.
ABOVE_NOISE = 2.0

#: The range lies between these shares of the fall.
BEGUN, DONE = 0.1, 0.9


@dataclass(frozen=True, repr=False)
class RateRange:
    """The learning rates between which a model learns, and how that was found.

    Args:
        low: the rate at which the loss has begun to fall.
        high: the rate at which the fall is all but over, and well before the loss rises again.
        suggested: a rate to begin with: the middle of the range, or where the loss falls fastest, whichever is lower.
        rule: how the three were chosen, in words and with the numbers.
        rates: all that were tried, ascending.
        losses: for each seed one loss a rate, as far as it came.
        smoothed: the curve that was read: the median over the seeds, smoothed.
        diverged: the rate at which the loss was gone, far above its start; None where it never was.
        by_seed: what each seed would suggest by itself; None where its curve alone says nothing.

    Example:
        >>> rates = [10 ** (k / 20 - 5) for k in range(100)]
        >>> losses = [2 - 1 / (1 + (0.001 / rate) ** 2) + 40 * rate**2 for rate in rates]
        >>> found = read_range(rates, [losses])
        >>> found
        RateRange(low=0.00022, high=0.0035, suggested=0.00089)
        >>> found.rate == Rate(found.suggested)
        True
    """

    low: float
    high: float
    suggested: float
    rule: str
    rates: tuple[float, ...] = field(default=())
    losses: tuple[tuple[float, ...], ...] = field(default=())
    smoothed: tuple[float, ...] = field(default=())
    diverged: float | None = None
    by_seed: tuple[float | None, ...] = field(default=())

    @property
    def bounds(self) -> tuple[float, float]:
        """The range alone: ``hp.Float("learning_rate", *found.bounds, sampling="log")``."""
        return self.low, self.high

    @property
    def rate(self) -> Rate:
        """The suggested rate as a schedule; times a factor's curve it is ``found.suggested * factor``."""
        return Rate.constant(self.suggested)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={getattr(self, name):.2g}" for name in ("low", "high", "suggested"))
        return f"RateRange({told})"

    def __rich__(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_header=False, title="Learning-rate range", title_justify="left")
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        rows = {
            "range": f"{self.low:.2g} to {self.high:.2g}",
            "suggested": f"{self.suggested:.2g}",
            "each seed": ", ".join("says nothing" if one is None else f"{one:.2g}" for one in self.by_seed),
            "diverged": "not up to " + f"{self.rates[-1]:.2g}" if self.diverged is None else f"at {self.diverged:.2g}",
            "rule": self.rule,
        }
        for name, text in rows.items():
            table.add_row(Text(name), Text(text))
        return table

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses, the curve that was read, and the range.

        Args:
            ax: matplotlib axes to draw into; by default new ones.

        Returns:
            The axes.

        Raises:
            ScheduleError: when matplotlib is not installed.
        """
        from choritsu.schedules.drawing.pictures import plot_range

        return plot_range(self, ax)


@dataclass
class Divergence:
    """Tells a loss that has gone for good from a single bad batch, while the losses come in."""

    losses: list[float] = field(default_factory=list)
    _best: float = math.inf

    def add(self, loss: float) -> bool:
        """Take the next loss, and say whether it was one too many.

        Args:
            loss: one that is not finite has diverged, and is not kept.

        Example:
            >>> watch = Divergence()
            >>> any(watch.add(loss) for loss in [2.0, 2.0, 900.0, 2.0, 1.9, 1.8, 1.7])
            False
            >>> [watch.add(loss) for loss in [50.0, 60.0, 70.0, math.nan]]
            [False, False, True, True]
        """
        if not math.isfinite(loss):
            return True
        self.losses.append(loss)
        if len(self.losses) < 5:
            return False
        now = median(self.losses[-5:])
        self._best = min(self._best, now)
        return now > limit_of(median(self.losses[:5]), self._best)


def limit_of(start: float, best: float) -> float:
    """Say above which loss a curve has diverged, also where losses are near 0 or below it.

    Example:
        >>> limit_of(2.3, 1.5), limit_of(1.0, 0.001)
        (6.0, 1.999)
    """
    return max(DIVERGED * abs(best), 2 * start - best)


def read_range(rates: Sequence[float], losses: Sequence[Sequence[float]]) -> RateRange:
    """Read the range of useful rates from the losses of a sweep.

    Of the losses at each rate the median over the seeds; of five rates in a row the median again, so that single bad
    batches vanish; then an exponential average, run forward and backward so that it does not lag. On this curve the
    fall is what lies between its level at the start and its lowest point. `low` is the last rate before a tenth of it
    is done, `high` the first at which nine tenths are done, and at most half the rate of the lowest point; `suggested`
    is their geometric mean, or where the fall is steepest in the logarithm of the rate, if that is lower: the steepest
    place is often the edge of a cliff.

    Args:
        rates: ascending.
        losses: for each seed one loss a rate; a seed that diverged has fewer.

    Returns:
        The range and the rule.

    Raises:
        ScheduleError: when the curve says nothing: fewer than 20 rates with a finite loss, no fall beyond the noise,
            or one that is steepest at the first or last of the rates.

    Reference:
        Smith, Cyclical Learning Rates, WACV 2017, section 3.3.
    """
    rates = tuple(map(float, rates))
    curves = tuple(tuple(map(float, one)) for one in losses)
    found = _read(rates, curves)
    by_seed = tuple(_alone(rates, one) for one in curves)
    return RateRange(**found, rates=rates, losses=curves, by_seed=by_seed)


def _alone(rates: tuple[float, ...], curve: tuple[float, ...]) -> float | None:
    try:
        return float(_read(rates, (curve,))["suggested"])
    except ScheduleError:
        return None


def _read(rates: tuple[float, ...], curves: tuple[tuple[float, ...], ...]) -> dict[str, Any]:
    raw, edge = _over_seeds(curves, len(rates)), max(5, len(rates) // 10)
    if len(raw) < FEWEST:
        raise ScheduleError(_too_few(rates, len(raw)))
    start, noise = median(raw[:edge]), _noise(raw)
    raw, highest = _until_lost(raw, start, noise)
    count = len(raw)
    diverged = rates[count] if count < len(rates) else None
    if count < FEWEST:
        raise ScheduleError(_too_few(rates, count))
    smoothed = smooth([min(loss, highest) for loss in raw], max(2.0, len(rates) / 20))
    lowest = min(range(count), key=smoothed.__getitem__)
    fall = start - smoothed[lowest]
    if lowest < edge or fall <= max(ABOVE_NOISE * noise, 1e-3 * abs(start)):
        rose = diverged is not None or max(smoothed[-edge:]) - start > max(ABOVE_NOISE * noise, 1e-3 * abs(start))
        raise ScheduleError(_no_fall(rates, start, smoothed[lowest], noise, diverged, rose=rose))
    slopes = {
        place: (smoothed[place + 1] - smoothed[place - 1]) / math.log(rates[place + 1] / rates[place - 1])
        for place in range(edge, min(lowest + 1, count - 1))
    }
    steepest = min(slopes, key=slopes.__getitem__, default=edge)
    if steepest <= edge + 1:
        raise ScheduleError(
            f"the loss falls fastest at the lowest of the rates, near {rates[edge]:.2g}, so that the range begins "
            f"below it: lower low, to {rates[0] / 100:.1g} say"
        )
    if diverged is None and steepest >= len(rates) - edge:
        raise ScheduleError(
            f"the loss still falls fastest at the highest of the rates, {rates[-1]:.2g}, so that the range ends above "
            f"it: raise high, to {rates[-1] * 100:.1g} say"
        )
    low = max(place for place in range(steepest) if smoothed[place] >= start - BEGUN * fall or place == 0)
    high = next(place for place in range(steepest, count) if smoothed[place] <= start - DONE * fall or place == lowest)
    top, half = rates[high], rates[lowest] / 2
    if top > half > rates[low]:
        top = half
    end = f"diverged at {diverged:.2g}" if diverged is not None else f"did not diverge up to {rates[-1]:.2g}"
    # Where the fall ends at a cliff it is steepest on the edge, and longer trainings do better well below it.
    suggested = min(rates[steepest], math.sqrt(rates[low] * top))
    rule = (
        f"The median of {len(curves)} curves, smoothed, falls from {start:.3g} to {smoothed[lowest]:.3g}, its lowest "
        f"point, at {rates[lowest]:.2g}; it {end}. low: the last rate before a tenth of the fall is done. high: where "
        "nine tenths are done, at most half the rate of the lowest point. suggested: their geometric mean, or where "
        f"the loss falls fastest in the logarithm of the rate, {rates[steepest]:.2g}, if that is lower."
    )
    return {
        "low": rates[low],
        "high": top,
        "suggested": suggested,
        "rule": rule,
        "smoothed": tuple(smoothed),
        "diverged": diverged,
    }


def _over_seeds(curves: tuple[tuple[float, ...], ...], count: int) -> list[float]:
    """Give the median over the seeds at each rate, up to where half of them have diverged."""
    raw: list[float] = []
    for place in range(count):
        middle = median(curve[place] if place < len(curve) else math.inf for curve in curves)
        if not math.isfinite(middle):
            break
        raw.append(middle)
    return raw


def _until_lost(raw: list[float], start: float, noise: float) -> tuple[list[float], float]:
    """Cut a curve where all that was gained is lost twice over; give that loss too.

    What comes later says nothing, and would hide a fall that ends at a cliff from whatever averages over it.
    """
    steady = _medians(raw)
    best = min(range(len(steady)), key=steady.__getitem__)
    highest = start + max(start - steady[best], 0.0) + ABOVE_NOISE * noise
    end = next((place for place in range(best, len(steady)) if steady[place] > highest), len(steady))
    return raw[:end], highest


def _medians(values: Sequence[float]) -> list[float]:
    """Replace each value by the median of five around it."""
    return [median(values[max(place - 2, 0) : place + 3]) for place in range(len(values))]


def smooth(values: Sequence[float], span: float) -> list[float]:
    """Smooth a curve: running medians of five, then an exponential average, forward and backward.

    Args:
        values: one for each step.
        span: over how many steps to average, at least 1.

    Example:
        >>> smooth([1.0, 1.0, 99.0, 1.0, 1.0, 1.0], 3.0)
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    steady = _medians(values)
    forward, backward = _averaged(steady, span), _averaged(steady[::-1], span)[::-1]
    return [(one + other) / 2 for one, other in zip(forward, backward, strict=True)]


def _averaged(values: Sequence[float], span: float) -> list[float]:
    keep, total, weight, averaged = 1 - 1 / span, 0.0, 0.0, []
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        # Divided by the weights so far: the first values are not drawn towards 0.
        averaged.append(total / weight)
    return averaged


def _noise(raw: Sequence[float]) -> float:
    """Measure how far the loss jumps from batch to batch, as a standard deviation, whatever its trend is."""
    return 1.4826 * median(abs(later - earlier) for earlier, later in pairwise(raw)) / math.sqrt(2)


def _too_few(rates: tuple[float, ...], count: int) -> str:
    if len(rates) < FEWEST:
        return f"a range is read from at least {FEWEST} rates, got {len(rates)}"
    if not count:
        return f"the loss is not finite at the first rate, {rates[0]:.2g}: look at the data and the loss itself"
    cure = f"lower low, to {rates[0] / 100:.1g} say, or take more steps"
    if not _near(rates, count):
        cure = f"take more steps, {math.ceil(1.2 * FEWEST / count * len(rates))} say"
    return (
        f"the loss diverged at a rate of {rates[count]:.2g}, after {count} of {len(rates)} steps, and {FEWEST} are "
        f"wanted: {cure}"
    )


def _near(rates: tuple[float, ...], place: int) -> bool:
    """Tell whether a rate is so near to the lowest that a fall may lie below."""
    return rates[place] < 1000 * rates[0]


def _no_fall(
    rates: tuple[float, ...], start: float, lowest: float, noise: float, diverged: float | None, *, rose: bool
) -> str:
    seen = f"from {start:.3g} to {min(lowest, start):.3g} where single batches differ by {noise:.2g}"
    learns = "take larger batches or more steps; else the model does not learn from these data"
    if not rose:
        far = f"raise high, to {rates[-1] * 100:.1g} say, or "
        return f"the loss did not fall up to a rate of {rates[-1]:.2g} ({seen}): {far}{learns}"
    gone = len(rates) - 1 if diverged is None else rates.index(diverged)
    end = "it rose" if diverged is None else f"it diverged at a rate of {diverged:.2g}"
    far = f"lower low, to {rates[0] / 100:.1g} say, or " if _near(rates, gone) else ""
    return f"the loss did not fall before {end} ({seen}): {far}{learns}"
