"""Learning-rate schedules as values, with one meaning in every framework.

A `Factor` is a multiplier of the learning rate, a number without a unit; a `Rate` is a learning rate. A base rate times
a factor is a rate:

    >>> from choritsu.schedules import linear
    >>> factor = linear(1.0, 0.0, steps=10)
    >>> rate = 1e-3 * factor
    >>> rate
    Rate(0.001 * linear(1, 0, steps=10))

`rate.to_keras()`, `rate.to_torch(optimizer)` and `rate.to_optax()` give each framework's own object; all of them
give the same rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from choritsu.schedules.drawing.expressions import read_schedule as read_schedule
from choritsu.schedules.drawing.pictures import plot as plot
from choritsu.schedules.durations import Duration as Duration
from choritsu.schedules.durations import epochs as epochs
from choritsu.schedules.durations import share as share
from choritsu.schedules.finding import RateRange as RateRange
from choritsu.schedules.finding import find_rate as find_rate
from choritsu.schedules.guarding import Suspicion as Suspicion
from choritsu.schedules.guarding import Trap as Trap
from choritsu.schedules.guarding import guard as guard
from choritsu.schedules.guarding import meant as meant
from choritsu.schedules.named import cyclic as cyclic
from choritsu.schedules.named import inverse_sqrt as inverse_sqrt
from choritsu.schedules.named import noam as noam
from choritsu.schedules.named import one_cycle as one_cycle
from choritsu.schedules.named import restarts as restarts
from choritsu.schedules.named import wsd as wsd
from choritsu.schedules.readers import from_keras as from_keras
from choritsu.schedules.readers import from_optax as from_optax
from choritsu.schedules.readers import from_torch as from_torch
from choritsu.schedules.readers import from_transformers as from_transformers
from choritsu.schedules.recording import Comparison as Comparison
from choritsu.schedules.recording import record as record
from choritsu.schedules.values import Factor as Factor
from choritsu.schedules.values import Rate as Rate
from choritsu.schedules.values import Schedule as Schedule
from choritsu.schedules.values import constant as constant
from choritsu.schedules.values import cosine as cosine
from choritsu.schedules.values import exponential as exponential
from choritsu.schedules.values import inverse as inverse
from choritsu.schedules.values import linear as linear
from choritsu.schedules.values import piecewise as piecewise
from choritsu.schedules.values import polynomial as polynomial

if TYPE_CHECKING:
    from choritsu.schedules.groups import to_torch as to_torch
    from choritsu.schedules.lambda_lr import LambdaLR as LambdaLR
    from choritsu.schedules.learning_rate_scheduler import LearningRateScheduler as LearningRateScheduler


def __getattr__(name: str) -> Any:
    # These are objects of a framework's own, which only their users shall import.
    match name:
        case "LambdaLR":
            from choritsu.schedules.lambda_lr import LambdaLR

            return LambdaLR
        case "LearningRateScheduler":
            from choritsu.schedules.learning_rate_scheduler import LearningRateScheduler

            return LearningRateScheduler
        case "to_torch":
            from choritsu.schedules.groups import to_torch

            return to_torch
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
