"""Units: every number of a schedule is a plain factor, or carries a learning rate, or nobody knows.

A quantity has a *unit*: how often a learning rate is multiplied into it. ``0.9 ** epoch`` has unit 0, a factor;
``args.lr * 0.9 ** epoch`` has unit 1, a rate; ``args.lr / base_lr`` is a factor again. Sums of unlike things have no
unit. Where everything is known, the number itself is computed as well.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

#: A number from here on is no learning rate that anyone trains with, whatever its name says.
NO_RATE = 0.5
#: Exponents beyond this overflow or take long.
LARGEST_EXPONENT = 100_000

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: Words which, beside "lr", say that it is no rate but something about one.
_ABOUT = frozenset(
    "decay decays gamma factor factors mult mults multiplier multipliers lambda lambdas scheduler schedulers schedule "
    "schedules sched drop drops step steps ratio ratios power pow epoch epochs scale scales scaling scaler weight "
    "weights cycle cycles patience milestone milestones policy type mode fn func function fns frac fraction coef coeff "
    "coefs beta alpha rampup rampdown ramp freq frequency interval period percent percentage pct div rule strategy "
    "adjust adjuster adjustment update updater reduce reduction reducer shrink anneal annealing annealer kind name "
    "list lst dict group groups norm momentum wd every num n size length total iters iter iterations monitor callback "
    "finder find logger log logs plot config cfg conf args kwargs params param opts range history curve bounds bound "
    "multi multiply dec delta diff exponent exp rel relative warmups after before when flag use with has is do no auto "
    "values vals grid space search exponential poly cosine".split()
)
_SPELLINGS = frozenset(
    "lr lrs lrate lrates learningrate learningrates lrbase baselr initlr maxlr minlr lrinit lrmax lrmin lr0 ilr".split()
)


def rate_like(name: str) -> bool:
    """Whether a name, or the last part of a dotted one, says that it is a learning rate.

    Example:
        >>> [rate_like(name) for name in ("args.lr", "baseLR", "cfg.TRAIN.LEARNING_RATE", "lr_decay", "rate")]
        [True, True, True, False, False]
    """
    parts = [part for part in name.split(".") if not part.lstrip("-").isdigit()]
    if not parts:
        return False
    words = [word.lower() for word in _WORDS.findall(parts[-1])]
    if any(word in _ABOUT for word in words) or (len(words) > 1 and words[-1] == "warmup"):
        return False
    if "".join(words) in ("lr0", "lr1", "lr2", "eta0", "etamin", "etamax"):
        return True
    pairs = list(itertools.pairwise(words))
    learning = ("learning", "learn", "l", "learing", "leaning")
    return any(word in _SPELLINGS for word in words) or any(a in learning and b in ("rate", "rates") for a, b in pairs)


_GUESSES: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"warm|ramp|burn"), 5.0),
    (re.compile(r"gamma|decay_?rate|decay$|drop$|momentum|lr_?decay|lrd"), 0.9),
    (re.compile(r"power|pow$|exponent"), 0.9),
    (re.compile(r"ratio|frac|percent|pct|lrf|factor|floor|alpha"), 0.1),
    (re.compile(r"epoch|total|max_?iter|n_?iter|num_?iter|steps?$|iterations|horizon|t_?max|length|^t$|^n$"), 100.0),
)


def guess(name: str) -> float | None:
    """Guess a likely number behind a name; None without an idea."""
    last = name.rpartition(".")[2].lower()
    return next((number for pattern, number in _GUESSES if pattern.search(last)), None)


@dataclass(frozen=True)
class Quantity:
    """A number of a schedule, as far as it is known.

    Args:
        number: its value, if known.
        sure: the value is certain, neither guessed nor a default that may be overridden.
        unit: how often a learning rate is multiplied into it; None if that cannot be told.
        current: the same, for the rate that the framework passes in.
        literal: it consists of written numbers only, and takes on the unit of what it is added to.
        counter: computed from the epoch or step; not just chosen by it.
        quotient: a counted thing was divided by another.
        rates: the rates in it, by name, also those that were divided out.
        planned: one of this library's own rates gave it.
    """

    number: float | None = None
    sure: bool = True
    unit: int | None = 0
    current: int | None = 0
    literal: bool = False
    counter: bool = False
    quotient: bool = False
    rates: frozenset[str] = frozenset()
    planned: bool = False

    @property
    def known(self) -> float | None:
        """The number, if it is certain."""
        return self.number if self.sure else None


UNKNOWN = Quantity(unit=None, current=None, sure=False)


def written(number: float) -> Quantity:
    """Make the quantity of a number in the source."""
    return Quantity(number=number, literal=True)


def unnamed(number: float | None = None, sure: bool = False) -> Quantity:
    """Make a plain number that is known by guess or not at all."""
    return Quantity(number=number, sure=sure)


def rate(name: str, number: float | None = None, sure: bool = False) -> Quantity:
    """Make a learning rate."""
    return Quantity(number=number, sure=sure, unit=1, rates=frozenset((name,)))


def _finite(compute: Callable[[], float | complex]) -> float | None:
    try:
        value = compute()
    except (ArithmeticError, ValueError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _merged(values: Iterable[Quantity], **changes: object) -> Quantity:
    parts = list(values)
    result = Quantity(
        sure=all(part.sure for part in parts),
        literal=all(part.literal for part in parts),
        counter=any(part.counter for part in parts),
        quotient=any(part.quotient for part in parts),
        rates=frozenset().union(*(part.rates for part in parts)),
        planned=any(part.planned for part in parts),
    )
    return replace(result, **changes)  # type: ignore[arg-type]


def _sum_unit(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def times(one: Quantity, other: Quantity) -> Quantity:
    """Multiply."""
    number = None
    if one.number is not None and other.number is not None:
        a, b = one.number, other.number
        number = _finite(lambda: a * b)
    elif 0.0 in (one.known, other.known):
        return _merged((one, other), number=0.0, sure=True, unit=0, current=0, literal=True, counter=False)
    return _merged(
        (one, other),
        number=number,
        unit=_sum_unit(one.unit, other.unit),
        current=_sum_unit(one.current, other.current),
    )


def inverse(one: Quantity) -> Quantity:
    """Divide 1 by it."""
    a = one.number
    return replace(
        one,
        number=None if a is None else _finite(lambda: 1.0 / a),
        unit=None if one.unit is None else -one.unit,
        current=None if one.current is None else -one.current,
    )


def over(one: Quantity, other: Quantity) -> Quantity:
    """Divide."""
    result = times(one, inverse(other))
    if one.known == 0.0:
        result = replace(result, number=0.0)
    if one.planned and one.unit == 1 and other.unit == 0:
        # What a plain number divides a schedule of ours by is the rate that becomes 1.
        result = replace(result, unit=None)
    return replace(result, quotient=result.quotient or (one.counter and other.counter))


def same_unit(values: Iterable[Quantity], number: float | None) -> Quantity:
    """Join quantities that are added, compared or chosen among, and so ought to have one unit.

    Args:
        values: the quantities.
        number: the result's number, if known.
    """
    parts = list(values)
    units = {part.unit for part in parts if not part.literal}
    currents = {part.current for part in parts if not part.literal}
    small = all(part.number is not None and abs(part.number) < NO_RATE for part in parts if part.literal)
    return _merged(
        parts,
        number=number,
        unit=_one_unit(units, small),
        current=_one_unit(currents, small),
    )


def _one_unit(units: set[int | None], literals_are_small: bool) -> int | None:
    if not units:
        return 0
    if len(units) > 1:
        return None
    unit = units.pop()
    return unit if unit in (0, None) or literals_are_small else None


def bounded(values: Iterable[Quantity], number: float | None) -> Quantity:
    """Join a quantity and its bounds; what moves with the epoch tells the unit, not what it is held by.

    Args:
        values: the quantity and its bounds, in any order.
        number: the result's number, if known.
    """
    parts = list(values)
    moving = [part for part in parts if part.counter]
    if not moving:
        return same_unit(parts, number)
    told = same_unit(moving, None)
    return _merged(parts, number=number, unit=told.unit, current=told.current)


def plus(one: Quantity, other: Quantity) -> Quantity:
    """Add."""
    if one.known == 0.0 and one.literal:
        return other
    if other.known == 0.0 and other.literal:
        return one
    a, b = one.number, other.number
    return same_unit((one, other), None if a is None or b is None else _finite(lambda: a + b))


def negative(one: Quantity) -> Quantity:
    """Change the sign."""
    return replace(one, number=None if one.number is None else -one.number)


def power(base: Quantity, exponent: Quantity) -> Quantity:
    """Raise to a power."""
    number = None
    a, b = base.number, exponent.number
    if exponent.known == 0.0:
        number = 1.0
    elif a is not None and b is not None and abs(b) <= LARGEST_EXPONENT:
        number = _finite(lambda: float(a) ** b)
    whole = exponent.known is not None and exponent.known == int(exponent.known) and not exponent.counter

    def raised(unit: int | None) -> int | None:
        if unit == 0:
            return 0
        return unit * int(exponent.known or 0) if unit is not None and whole and abs(exponent.known or 0) < 9 else None

    result = _merged((base, exponent), number=number, unit=raised(base.unit), current=raised(base.current))
    if exponent.unit not in (0,) or exponent.current not in (0,):
        result = replace(result, unit=None, current=None)
    # Anything to the power of nothing is 1, however little is known of it.
    return replace(result, sure=True) if exponent.known == 0.0 else result


def applied(function: Callable[[float], float], one: Quantity) -> Quantity:
    """Apply a function such as exp or cos, which only makes sense of a plain number."""
    a = one.number
    number = None if a is None else _finite(lambda: function(a))
    plain = one.unit == 0 and one.current == 0
    return replace(one, number=number, unit=0 if plain else None, current=0 if plain else None)


def kept(function: Callable[[float], float], one: Quantity) -> Quantity:
    """Apply a function such as abs or floor, which keeps the unit."""
    a = one.number
    return replace(one, number=None if a is None else _finite(lambda: function(a)))


def joined(values: Iterable[Quantity]) -> Quantity:
    """Give what is common to several possible values."""
    parts = list(dict.fromkeys(values))
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return UNKNOWN
    numbers = {part.number for part in parts}
    return replace(same_unit(parts, numbers.pop() if len(numbers) == 1 else None), sure=False)
