"""How promising a point is."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

Floats: TypeAlias = NDArray[np.float64]

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def log_expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """Give the logarithm of how far below `best` a normally distributed value is expected to come.

    ``log(s * (phi(z) + z * Phi(z)))`` with ``z = (best - mean) / s``, exact also where the improvement itself is too
    small for a float.

    Args:
        mean: of the values.
        deviation: their standard deviations, above 0.
        best: the lowest value so far.

    Source:
        Ament, Daulton, Eriksson, Balandat, Bakshy, "Unexpected improvements to expected improvement for Bayesian
        optimization" (2023), equation 9.

    Example:
        >>> improvement = log_expected_improvement(np.array([0.0, 60.0]), np.array([1.0, 1.0]), 0.0)
        >>> [round(float(each), 2) for each in improvement]
        [-0.92, -1809.11]
    """
    z = (best - mean) / deviation
    near = z > -1.0
    result = np.empty_like(z)
    density = np.exp(-0.5 * z[near] ** 2 - _HALF_LOG_TAU)
    result[near] = np.log(density + z[near] * np.exp(log_ndtr(z[near])))
    far = z[~near]
    # Phi(z) = phi(z) * sqrt(pi / 2) * erfcx(-z / sqrt(2)): what is left of 1 is computed without rounding it away.
    ratio = math.sqrt(math.pi / 2.0) * erfcx(-far / math.sqrt(2.0)) * -far
    rest = np.where(far > -1e5, np.log1p(-np.minimum(ratio, 1.0 - 1e-16)), -2.0 * np.log(-far))
    result[~near] = -0.5 * far**2 - _HALF_LOG_TAU + rest
    return result + np.log(deviation)
