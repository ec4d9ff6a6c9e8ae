"""The learning rate that a tuner searches: a peak, a form, a warm-up and an end, over the whole run."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from choritsu.errors import ScheduleError
from choritsu.schedules.durations import share
from choritsu.schedules.values import Factor, Rate, constant, cosine, exponential, inverse, linear

Form: TypeAlias = Literal["constant", "linear", "cosine", "exponential", "inverse_sqrt", "wsd"]
FORMS: tuple[str, ...] = get_args(Form)
#: Forms that come down to an end of their own; the others have none to choose.
ENDING: tuple[str, ...] = ("linear", "cosine", "exponential", "wsd")
#: The part of the run in which a "wsd" schedule falls.
FALL = 0.2


def planned(peak: float, form: str, *, warmup: float = 0.0, end: float = 0.0) -> Rate:
    """Make the rate of a whole run; its lengths are shares of the run, to be bound when its length is known.

    Args:
        peak: the largest rate.
        form: "constant", "linear", "cosine", "exponential", "inverse_sqrt", or "wsd", which stays at the peak until
            the last fifth of the run and falls in a line.
        warmup: the share of the run that rises from 0 to the peak, in [0, 1).
        end: what is left of the peak at the end of the run, in [0, 1].

    Raises:
        ScheduleError: for other values.

    Example:
        >>> rate = planned(0.1, "linear", warmup=0.2)
        >>> [round(value, 6) for value in rate.bind(horizon=10).table()]
        [0.0, 0.05, 0.1, 0.0875, 0.075, 0.0625, 0.05, 0.0375, 0.025, 0.0125]
    """
    if form not in FORMS:
        raise ScheduleError(f"a learning rate has one of the shapes {', '.join(FORMS)}, got {form!r}")
    if not 0 <= warmup < 1 or (form == "wsd" and warmup >= 1 - FALL):
        raise ScheduleError(f"warmup is a share of the run that leaves room for the rest, got {warmup!r}")
    if not 0 <= end <= 1:
        raise ScheduleError(f"end is a share of the peak between 0 and 1, got {end!r}")
    rest = share(1.0 - warmup)
    match form:
        case "constant":
            body: Factor = constant(1.0)
        case "linear":
            body = linear(1.0, end, steps=rest)
        case "cosine":
            body = cosine(1.0, end, steps=rest)
        case "exponential":
            if not end:
                raise ScheduleError("an exponential decay never reaches 0; say what is left of the peak: end=0.01")
            body = exponential(1.0, decay=end, every=rest, steps=rest)
        case "inverse_sqrt":
            body = inverse(1.0, every=share(warmup or 0.01), power=0.5, steps=rest)
        case _:
            body = constant(1.0).then(linear(1.0, end, steps=share(FALL)), at=share(1.0 - warmup - FALL))
    factor = body.warmup(share(warmup)) if warmup else body
    # Not `peak * factor`, where it is asked whether the factor may be a rate itself: this one's highest value is 1.
    return Rate(factor.shape).scaled(peak)
