"""Which hyperparameters matter, alone and in pairs, and how the score depends on each: fANOVA over a small forest.

What the forest and its shares are is told in `choritsu.report.forest`. What goes into it:

- *Trials.* Those with a finite score. Failed ones are left out: why they failed need not lie in their values. Scores
  reached with different budgets are not comparable; where trials were given budgets, the scores at the largest budget
  that enough trials have reached are used, and no others.
- *Scores.* As they are, but for those that are worse than the worst quartile by more than 1.5 times the distance
  between the quartiles (Tukey's fence), which count as if they lay there: one diverged trial shall not drown the rest.
- *Hyperparameters.* Where they lie on their unit intervals, so that a logarithmic one is averaged over its logarithms.
  Unordered choices are categories, of equal weight each. Trials that did not ask for a hyperparameter stand for all of
  its values: where it is not used, it makes no difference, and what it does under a condition shows as a share of its
  own and one of the pair with its parent.

Shares are those of the forest, not of the truth. Whether the one stands for the other is seen by how well its trees
foretell trials that they were not grown from: below `LEAST_EXPLAINED` nothing is said. Without any influence at all, 4
to 8 searches of a hundred get beyond that, with 8 to 60 trials and 3 to 10 hyperparameters.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from choritsu.chance import derive
from choritsu.space import Choice, Parameter, canonical
from choritsu.trials import History, Objective, Trial

if TYPE_CHECKING:
    from choritsu.report.forest import Column, Forest

#: With fewer scored trials nothing is said.
FEWEST = 8
#: With a smaller share foretold of what trees have not seen, nothing is said.
LEAST_EXPLAINED = 0.1
#: A hyperparameter's values are told apart in at most so many cells.
CELLS = 32
#: Pairs are looked for among so many hyperparameters.
PAIRED = 20

_ABSENT = object()


@dataclass(frozen=True)
class Importance:
    """The influence of a hyperparameter alone, or of several together beyond what each of them and fewer do.

    Args:
        names: the hyperparameters; one or two.
        share: of the variance of the score over the whole space, 0 to 1.
        spread: the standard deviation of that share over the trees.
    """

    names: tuple[str, ...]
    share: float
    spread: float

    @property
    def name(self) -> str:
        """The names as text."""
        return " with ".join(self.names)


@dataclass(frozen=True)
class Effect:
    """The score over one hyperparameter, averaged over the whole range of all others: its partial dependence.

    Args:
        name: the hyperparameter.
        values: some of those that were tried, in order.
        means: the score at each.
        spreads: the standard deviation of it over the trees.
    """

    name: str
    values: tuple[Any, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]


@dataclass(frozen=True)
class Importances:
    """The influence of all hyperparameters that can be told.

    Args:
        items: one for each hyperparameter that took several values, the largest share first.
        pairs: likewise for each two of them.
        effects: how the score depends on each, in the order of `items`.
        trials: how many trials it rests on.
        until: after how many epochs their scores were taken; None where trials have no budgets.
        explained: how much of the differences between trials the trees foretell that have not seen them, up to 1.
        untold: the hyperparameters that took one value only.
        reason: why nothing at all can be said; empty otherwise.
    """

    items: tuple[Importance, ...] = ()
    pairs: tuple[Importance, ...] = ()
    effects: tuple[Effect, ...] = ()
    trials: int = 0
    until: int | None = None
    explained: float = 0.0
    untold: tuple[str, ...] = ()
    reason: str = ""


def importance_of(history: History, part: Objective | None = None, seed: int = 0) -> Importances:
    """Estimate how much each hyperparameter matters.

    Args:
        history: the trials; their order is of no consequence.
        part: for which of several objectives; by default for the score, which is their sum.
        seed: of the forest's draws.

    Returns:
        The shares, or the reason why there are none.

    Example:
        >>> importance_of(History()).reason
        'no trial has completed; at least 8 are needed'
    """
    from choritsu.report.forest import grown

    objective = part or history.objective
    trials, until = _scored(history, objective)
    told = Importances(trials=len(trials), until=until)
    if len(trials) < FEWEST:
        return _nothing(told, f"{_so_far(len(trials), until)}; at least {FEWEST} are needed")
    if len({badness for _, badness in trials}) == 1:
        return _nothing(told, "every trial reached the same score")
    names = dict.fromkeys(name for trial, _ in trials for name in trial.values)
    known = dict.fromkeys([*(item.name for item in history.space), *names])
    cut = {name: _column(history.space.named(name), [trial for trial, _ in trials], name) for name in known}
    columns = {name: found for name, found in cut.items() if found is not None}
    untold = tuple(name for name in known if name not in columns)
    if not columns:
        return _nothing(told, "no hyperparameter took several values", untold)
    exponent, targets = _scaled(_fenced([badness for _, badness in trials]))
    forest = grown([column for column, _ in columns.values()], targets, derive(seed, "importance", len(trials)))
    explained = 0.0 if forest is None else forest.explained
    if forest is None or explained < LEAST_EXPLAINED:
        said = f"what {len(trials)} trials teach foretells {max(explained, 0.0):.0%} of the differences between others"
        return _nothing(told, f"{said}; at least {LEAST_EXPLAINED:.0%} are needed", untold)
    items = [Importance((name,), *forest.share(part)) for name, part in zip(columns, forest.singles, strict=True)]
    effects = _effects(forest, columns, -1.0 if objective.direction == "max" else 1.0, exponent)
    items.sort(key=lambda item: -item.share)
    return Importances(
        tuple(items),
        _pairs(forest, tuple(columns)),
        tuple(effects[item.name] for item in items),
        len(trials),
        until,
        explained,
        untold,
    )


def _nothing(told: Importances, reason: str, untold: tuple[str, ...] = ()) -> Importances:
    return Importances(trials=told.trials, until=told.until, untold=untold, reason=reason)


def _so_far(number: int, until: int | None) -> str:
    if until is not None:
        return f"{number} trials have come as far as epoch {until}"
    return f"{number} completed so far" if number else "no trial has completed"


def _scored(history: History, objective: Objective) -> tuple[list[tuple[Trial, float]], int | None]:
    """Give the trials to compare with their badness, in an order that does not depend on that of the trials."""
    reached: dict[float, list[tuple[Trial, float]]] = {}
    for trial in history:
        for until, score in _scores(trial, None if objective == history.objective else objective.name).items():
            if math.isfinite(score):
                reached.setdefault(until, []).append((trial, objective.badness(score)))
    if not reached:
        return [], None
    enough = [until for until, held in reached.items() if len(held) >= FEWEST]
    until = max(enough) if enough else max(reached, key=lambda until: (len(reached[until]), until))
    held = sorted(reached[until], key=lambda pair: (pair[1], _text(pair[0])))
    return held, None if math.isinf(until) else int(until)


def _scores(trial: Trial, metric: str | None) -> dict[float, float]:
    """Give the scores of a trial by budget; of a metric only the latest is kept."""
    if trial.result is None:
        return {}
    latest = float(trial.rungs[-1].until) if trial.rungs else math.inf
    if metric is not None:
        return {latest: trial.result.metrics.get(metric, math.nan)}
    return {float(rung.until): rung.score for rung in trial.rungs} or {latest: trial.result.score}


def _text(trial: Trial) -> str:
    return canonical(dict(sorted(trial.values.items())))


def _scaled(badnesses: Sequence[float]) -> tuple[int, list[float]]:
    """Bring numbers below 1 by a power of two, which changes none of their digits, so that they can be squared.

    Returns:
        The exponent, and the numbers divided by two to its power.
    """
    exponent = max(math.frexp(badness)[1] for badness in badnesses if badness)
    return exponent, [math.ldexp(badness, -exponent) for badness in badnesses]


def _fenced(badnesses: Sequence[float]) -> list[float]:
    # Eighths, because sums of four and the reach beyond them may be more than a float can hold.
    low, _, high = statistics.quantiles([badness / 8 for badness in badnesses], n=4, method="inclusive")
    reach = 1.5 * (high - low)
    if not reach > 0:
        return list(badnesses)
    return [min(badness, 8 * (high + reach)) for badness in badnesses]


# -- columns ---------------------------------------------------------------------------------------


def _column(known: Sequence[Parameter], trials: Sequence[Trial], name: str) -> tuple[Column, tuple[Any, ...]] | None:
    """Cut what the trials held of a hyperparameter into cells, each with a value of it; None where it never varied."""
    held = [trial.values.get(name, _ABSENT) for trial in trials]
    present = [value for value in held if value is not _ABSENT]
    if len({canonical(value) for value in present}) < 2:
        return None
    place = _place(known, present)
    if place is None:
        return _categories(known, held)
    return _cells(held, [None if value is _ABSENT else place(value) for value in held])


def _place(known: Sequence[Parameter], present: Sequence[Any]) -> Callable[[Any], float] | None:
    """Give the map of values to the unit interval; None for categories."""
    if len(known) == 1 and all(known[0].contains(value) for value in present):
        parameter = known[0]
        return parameter.to_unit if parameter.is_ordered else None
    numbers = [value for value in present if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(present) or not all(map(math.isfinite, numbers)):
        return None
    low, high = min(numbers), max(numbers)
    if low / 2 == high / 2:
        # 1 and 1.0 are two values, and one number.
        return None
    # Halves, because the whole width of the floats is more than a float can hold.
    return lambda value: (value / 2 - low / 2) / (high / 2 - low / 2)


def _categories(known: Sequence[Parameter], held: Sequence[Any]) -> tuple[Column, tuple[Any, ...]]:
    from choritsu.report.forest import Column

    seen = {canonical(value): value for value in held if value is not _ABSENT}
    listed = [canonical(value) for parameter in known if isinstance(parameter, Choice) for value in parameter.values]
    keys = [key for key in dict.fromkeys([*listed, *sorted(seen)]) if key in seen]
    cells = tuple(-1 if value is _ABSENT else keys.index(canonical(value)) for value in held)
    return Column(cells, (1 / len(keys),) * len(keys), ordered=False), tuple(seen[key] for key in keys)


def _cells(held: Sequence[Any], places: Sequence[float | None]) -> tuple[Column, tuple[Any, ...]]:
    from choritsu.report.forest import Column

    value_at = {place: value for place, value in zip(places, held, strict=True) if place is not None}
    groups = _groups([place for place in places if place is not None])
    edges = [0.0, *((left[-1] + right[0]) / 2 for left, right in itertools.pairwise(groups)), 1.0]
    cell_of = {place: cell for cell, group in enumerate(groups) for place in group}
    cells = tuple(-1 if place is None else cell_of[place] for place in places)
    widths = tuple(high - low for low, high in itertools.pairwise(edges))
    return Column(cells, widths), tuple(value_at[group[len(group) // 2]] for group in groups)


def _groups(places: Sequence[float]) -> list[list[float]]:
    """Put places into at most `CELLS` groups of like size, in order; equal ones are never apart."""
    distinct = sorted(set(places))
    if len(distinct) <= CELLS:
        return [[place] for place in distinct]
    ordered = sorted(places)
    lowest = {place: rank for rank, place in reversed(list(enumerate(ordered)))}
    return [list(held) for _, held in itertools.groupby(distinct, lambda place: lowest[place] * CELLS // len(ordered))]


# -- shares and effects ----------------------------------------------------------------------------


def _pairs(forest: Forest, names: Sequence[str]) -> tuple[Importance, ...]:
    # A column that acts only with another one still has a share in single trees, where accidents show.
    own = forest.singles[:, 1:].mean(axis=1).tolist()
    leading = sorted(sorted(range(len(names)), key=lambda column: -own[column])[:PAIRED])
    pairs = [
        Importance((names[first], names[second]), *forest.share(forest.pair(first, second)))
        for first, second in itertools.combinations(leading, 2)
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.share))


def _effects(
    forest: Forest, columns: dict[str, tuple[Column, tuple[Any, ...]]], sign: float, exponent: int
) -> dict[str, Effect]:
    most = math.nextafter(1.0, 0.0)

    def unscaled(number: float) -> float:
        # What is below 1 may have been rounded up to it, and may then be more than a float can hold.
        return math.ldexp(min(max(number, -most), most), exponent)

    means, spreads = sign * forest.marginals.mean(axis=0), forest.marginals.std(axis=0)
    told = zip(columns.items(), means.tolist(), spreads.tolist(), strict=True)
    return {
        name: Effect(
            name, values, tuple(map(unscaled, mean[: len(values)])), tuple(map(unscaled, spread[: len(values)]))
        )
        for (name, (_, values)), mean, spread in told
    }
