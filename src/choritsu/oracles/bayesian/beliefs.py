"""What a person believes about the best values: it leads the first trials, and less and less the later ones.

Source: Hvarfner, Stoll, Souza, Lindauer, Hutter, Nardi, "piBO: augmenting acquisition functions with user beliefs for
Bayesian optimization" (2022), for the weight that falls with the number of trials.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from choritsu.oracles.bayesian.encoding import Encoding
from choritsu.space import Parameter

Floats: TypeAlias = NDArray[np.float64]

#: How far from what is believed the best place may well lie, on the unit axis: a standard deviation.
WIDTH = 0.2
#: The logarithm of how much less is thought of any other value of a choice without order.
OTHERS = -1.5
#: As many trials as this weigh as much as a belief.
WEIGHT = 10.0


def near(parameter: Parameter, u: float) -> Any:
    """Give a value near what is believed: at u in [0, 1) of the normal distribution there, cut off at the ends.

    Example:
        >>> from choritsu.space import Float
        >>> near(Float("x", 0.0, 1.0, prior=0.3), 0.5)
        0.31...
    """
    if not parameter.is_ordered:
        return parameter.believed if u < 0.5 else parameter.from_unit(2.0 * u - 1.0)
    middle = parameter.to_unit(parameter.prior)
    first, last = ndtr((0.0 - middle) / WIDTH), ndtr((1.0 - middle) / WIDTH)
    place = middle + WIDTH * ndtri(first + u * (last - first))
    return parameter.from_unit(float(np.clip(place, 0.0, 1.0)))


def credit(encoding: Encoding, points: Floats, trials: int) -> Floats:
    """Give what beliefs add to the logarithm of what points promise, after so many trials.

    What is inactive at a point gets what its parameter's values get on average: no branch is favoured.

    Args:
        encoding: of the space.
        points: settled, one a row.
        trials: how many were completed.
    """
    total = np.zeros(len(points))
    for position, parameter in enumerate(encoding.space):
        if not parameter.has_prior:
            continue
        middle = parameter.to_unit(parameter.prior)
        off = points[:, position] - middle
        if not parameter.is_ordered:
            credits = np.where(np.abs(off) > 1e-9, OTHERS, 0.0)
            usual = OTHERS * (1.0 - 1.0 / (parameter.size or 1))
        else:
            credits = -0.5 * (off / WIDTH) ** 2
            usual = -0.5 * (1.0 / 12.0 + (0.5 - middle) ** 2) / WIDTH**2
        total += np.where(np.isnan(off), usual, credits)
    return total * WEIGHT / (trials + 1)
