"""How much of the difference between trials each hyperparameter accounts for.

The scores are replaced by their ranks R (ties share their mean rank), so that one diverged trial does
not drown the rest. The n trials are put into k groups by the parameter's value, and the share of the
variance of R that lies between groups is corrected for what chance alone would give:

    eta²  = sum_g n_g (mean_g R - mean R)² / sum_i (R_i - mean R)²
    share = max(0, 1 - (1 - eta²) (n - 1) / (n - k))

which is Kelley's epsilon² (T. L. Kelley, "An unbiased correlation ratio measure", PNAS 21, 1935,
https://doi.org/10.1073/pnas.21.9.554). Shares of parameters that act together need not add up to 1.

Groups: each value is one; numbers with more than floor(sqrt(n)) (2 to 8) distinct values are cut into
that many groups of like size, equal numbers never apart; values that are no numbers and came up once
are one group together; trials that did not ask for the parameter are one too, so that the child of a
condition carries its parent's influence beside its own.

For a parameter without influence eta² is about Beta((k - 1)/2, (n - k)/2) distributed. `chance` is the
share that the largest of all parameters, were none of them of influence, would exceed in one search
of twenty by that distribution (a Šidák correction over the parameters). Ranks follow it nearly: with
10 to 100 trials and 5 to 30 parameters without influence, 6 to 8 searches of a hundred exceed it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from choritsu.space import canonical
from choritsu.trials import History

#: With fewer completed trials nothing is said.
FEWEST = 5

_ABSENT = object()


@dataclass(frozen=True)
class Importance:
    """The influence of one hyperparameter.

    Args:
        name: the parameter.
        share: of the variance of the scores' ranks, corrected for chance; 0 to 1.
        chance: the share that chance alone may well give.
    """

    name: str
    share: float
    chance: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the share is more than chance may well give."""
        return self.share > self.chance


@dataclass(frozen=True)
class Importances:
    """The influence of all hyperparameters that can be told, the largest first.

    Args:
        items: one for each parameter that took several values.
        trials: how many completed trials it rests on.
        untold: the parameters of which nothing can be said: they took one value, or no value twice.
        reason: why nothing at all can be said; empty otherwise.
    """

    items: tuple[Importance, ...] = ()
    trials: int = 0
    untold: tuple[str, ...] = ()
    reason: str = ""


def importance_of(history: History) -> Importances:
    """Estimate how much each hyperparameter matters, from the completed trials alone.

    Args:
        history: the trials; their order is of no consequence.

    Returns:
        The shares, or the reason why there are none.

    Example:
        >>> importance_of(History()).reason
        'no trial has completed; at least 5 are needed'
    """
    trials = [trial for trial in history.completed if trial.score is not None and math.isfinite(trial.score)]
    total = len(trials)
    if total < FEWEST:
        so_far = "no trial has completed" if not total else f"{total} completed so far"
        return Importances(trials=total, reason=f"{so_far}; at least {FEWEST} are needed")
    ranks = _ranks([trial.score or 0.0 for trial in trials])
    if min(ranks) == max(ranks):
        return Importances(trials=total, reason="every trial reached the same score")
    names = dict.fromkeys(
        [*(item.name for item in history.space), *(name for trial in trials for name in trial.values)]
    )
    grouped = {name: _groups([trial.values.get(name, _ABSENT) for trial in trials]) for name in names}
    told = {name: groups for name, groups in grouped.items() if len(set(groups)) > 1}
    untold = tuple(name for name in names if name not in told)
    if not told:
        return Importances(trials=total, untold=untold, reason="no hyperparameter took several values")
    level = 0.95 ** (1 / len(told))
    items = [Importance(name, _share(ranks, groups), _chance(total, groups, level)) for name, groups in told.items()]
    return Importances(tuple(sorted(items, key=lambda item: -item.share)), total, untold)


def _ranks(scores: Sequence[float]) -> list[float]:
    counts = Counter(scores)
    ranks: dict[float, float] = {}
    below = 0
    for score in sorted(counts):
        ranks[score] = below + (counts[score] + 1) / 2
        below += counts[score]
    return [ranks[score] for score in scores]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _groups(values: Sequence[Any]) -> list[Hashable]:
    present = [value for value in values if value is not _ABSENT]
    if all(_is_number(value) for value in present):
        bins = _bins(Counter(present), min(max(math.isqrt(len(values)), 2), 8))
        return [None if value is _ABSENT else bins[value] for value in values]
    keys = [None if value is _ABSENT else canonical(value) for value in values]
    counts = Counter(keys)
    return [key if key is None or counts[key] > 1 else "rare" for key in keys]


def _bins(counts: Counter[float], most: int) -> dict[float, int]:
    if len(counts) <= most:
        return {value: index for index, value in enumerate(counts)}
    total, below = counts.total(), 0
    bins: dict[float, int] = {}
    for value in sorted(counts):
        bins[value] = int(most * (below + counts[value] / 2) / total)
        below += counts[value]
    return bins


def _share(ranks: Sequence[float], groups: Sequence[Hashable]) -> float:
    total, mean = len(ranks), (len(ranks) + 1) / 2
    held: dict[Hashable, list[float]] = {}
    for rank, group in zip(ranks, groups, strict=True):
        held.setdefault(group, []).append(rank)
    between = math.fsum(len(group) * (math.fsum(group) / len(group) - mean) ** 2 for group in held.values())
    eta2 = between / math.fsum((rank - mean) ** 2 for rank in ranks)
    return _corrected(eta2, total, len(held))


def _corrected(eta2: float, total: int, groups: int) -> float:
    if total <= groups:
        return 0.0
    return min(max(0.0, 1 - (1 - eta2) * (total - 1) / (total - groups)), 1.0)


def _chance(total: int, groups: Sequence[Hashable], level: float) -> float:
    from scipy.special import betaincinv

    number = len(set(groups))
    if total <= number:
        return 1.0
    return _corrected(float(betaincinv((number - 1) / 2, (total - number) / 2, level)), total, number)
