"""A Gaussian process over coordinates: a guess of the function, and of how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, lapack, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist, pdist

Floats: TypeAlias = NDArray[np.float64]

#: The smallest variance of the noise, where the targets have a variance of 1; it also keeps matrices regular.
QUIETEST = 1e-6
#: How many steps the search for the best scales may take.
STEPS = 20


@dataclass(frozen=True)
class Scales:
    """The parameters of a kernel, as logarithms.

    Args:
        lengths: of each group of coordinates: over which distance the function forgets its value.
        signal: of the function's variance.
        noise: of the variance of what is observed about it.
    """

    lengths: Floats
    signal: float = 0.0
    noise: float = math.log(1e-3)

    @classmethod
    def of(cls, vector: Floats) -> Scales:
        """Take them from a row: the lengths, the signal, the noise."""
        return cls(vector[:-2], float(vector[-2]), float(vector[-1]))


@dataclass(frozen=True)
class Belief:
    """What is thought of scales before anything is seen: a normal distribution of each logarithm.

    Args:
        lengths: the logarithms of the most probable lengths, one for each group.
        length_spread: how far a length may lie from that; standard deviations of logarithms, like those that follow.
        signal_spread: how far the variance of the function may lie from 1.
        noise: the logarithm of the noise's most probable variance.
        noise_spread: how far that may lie from it.
    """

    lengths: Sequence[float]
    length_spread: float = 1.0
    signal_spread: float = 1.0
    noise: float = math.log(1e-3)
    noise_spread: float = 2.0

    @property
    def middle(self) -> Floats:
        """The most probable scales."""
        return np.array([*self.lengths, 0.0, self.noise])

    @property
    def spread(self) -> Floats:
        """How far they may lie from these."""
        return np.array([*[self.length_spread] * len(self.lengths), self.signal_spread, self.noise_spread])


def matern(squares: Floats) -> tuple[Floats, Floats]:
    """Give the Matérn-5/2 correlation at squared distances, and minus twice its derivative by them.

    ``(1 + r + r**2 / 3) exp(-r)`` with r the root of 5 times the squared distance.
    """
    r = np.sqrt(5.0 * squares)
    fading = np.exp(-r)
    slope = (5.0 / 3.0) * (1.0 + r) * fading
    return (1.0 + r + r * r / 3.0) * fading, slope


@dataclass(frozen=True)
class Process:
    """A Gaussian process that has seen some targets.

    Args:
        seen: the coordinates of what was seen, one point a row.
        groups: the coordinates that share a length.
        scales: of the kernel.
        factor: the lower Cholesky factor of the targets' covariance.
        weights: the targets, multiplied by the inverse of that.
        counts: of how many observations each target is the mean.
    """

    seen: Floats
    groups: Sequence[slice]
    scales: Scales
    factor: Floats
    weights: Floats
    counts: Floats

    @classmethod
    def conditioned(
        cls, seen: Floats, targets: Floats, groups: Sequence[slice], scales: Scales, counts: Floats | float = 1.0
    ) -> Process:
        """Give the process that has seen these targets, of mean 0, each the mean of so many observations."""
        counts = np.broadcast_to(counts, len(seen))
        scaled = seen / _lengths(groups, scales, seen.shape[1])
        correlation, _ = matern(cdist(scaled, scaled, "sqeuclidean"))
        covariance = math.exp(scales.signal) * correlation
        covariance[np.diag_indices_from(covariance)] += math.exp(scales.noise) / counts + QUIETEST
        factor, _ = cho_factor(covariance, lower=True)
        return cls(seen, groups, scales, np.tril(factor), cho_solve((factor, True), targets), counts)

    def at(self, coordinates: Floats) -> tuple[Floats, Floats]:
        """Give the mean and the standard deviation of the function, without noise, at points one a row."""
        correlation, _ = matern(cdist(coordinates / self._lengths, self._scaled, "sqeuclidean"))
        covariance = math.exp(self.scales.signal) * correlation
        explained = solve_triangular(self.factor, covariance.T, lower=True, check_finite=False)
        variance = math.exp(self.scales.signal) - np.einsum("ij,ij->j", explained, explained)
        return covariance @ self.weights, np.sqrt(np.maximum(variance, 1e-12))

    @cached_property
    def _lengths(self) -> Floats:
        return _lengths(self.groups, self.scales, self.seen.shape[1])

    @cached_property
    def _scaled(self) -> Floats:
        return self.seen / self._lengths

    def surer_at(self, coordinates: Floats) -> Process:
        """Give the process as if it had seen its own mean at further points: surer there, otherwise the same."""
        mean, _ = self.at(coordinates)
        targets = self.factor @ (self.factor.T @ self.weights)
        return Process.conditioned(
            np.concatenate([self.seen, coordinates]),
            np.concatenate([targets, mean]),
            self.groups,
            self.scales,
            np.concatenate([self.counts, np.ones(len(coordinates))]),
        )


def _lengths(groups: Sequence[slice], scales: Scales, columns: int) -> Floats:
    lengths = np.ones(columns)
    for group, length in zip(groups, scales.lengths, strict=True):
        lengths[group] = math.exp(length)
    return lengths


def fitted(
    seen: Floats, targets: Floats, groups: Sequence[slice], belief: Belief, counts: Floats | float = 1.0
) -> Scales:
    """Give the scales that are most probable after targets of mean 0 and variance 1 were seen.

    Each is the mean of so many observations, and that much less noisy than one.

    Source:
        Rasmussen, Williams, "Gaussian Processes for Machine Learning" (2006), equations 5.8 and 5.9.
    """
    squares = np.stack([pdist(seen[:, group], "sqeuclidean") for group in groups])
    middle, spread = belief.middle, belief.spread
    count = len(seen)
    lower = np.tril_indices(count, -1)
    # `pdist` counts pairs by column of the lower triangle.
    order = np.lexsort((lower[0], lower[1]))
    pairs = lower[0][order], lower[1][order]

    def loss(vector: Floats) -> tuple[float, Floats]:
        *logs, signal, noise = vector
        weights = np.exp(-2.0 * np.array(logs))
        correlation, slope = matern(weights @ squares)
        covariance = np.zeros((count, count), order="F")
        covariance[pairs] = math.exp(signal) * correlation
        np.fill_diagonal(covariance, math.exp(signal) + math.exp(noise) / counts + QUIETEST)
        factor, failed = lapack.dpotrf(covariance, lower=1, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(vector)
        half_log = np.log(np.diagonal(factor)).sum()
        solved, _ = lapack.dpotrs(factor, targets, lower=1)
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        by_covariance = inverse[pairs] - solved[pairs[0]] * solved[pairs[1]]
        by_variance = np.diagonal(inverse) - solved**2
        deviation = (vector - middle) / spread
        gradient = deviation / spread
        gradient[:-2] += (squares @ (by_covariance * slope)) * weights * math.exp(signal)
        gradient[-2] += math.exp(signal) * (by_covariance @ correlation + 0.5 * by_variance.sum())
        gradient[-1] += math.exp(noise) * (0.5 * (by_variance / counts).sum())
        return float(0.5 * targets @ solved + half_log + 0.5 * deviation @ deviation), gradient

    bounds = [(at - 4 * by, at + 4 * by) for at, by in zip(middle, spread, strict=True)]
    found = minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS, "ftol": 1e-5})
    return Scales.of(found.x)
