"""A Gaussian process over coordinates: a guess of the function, and of how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, lapack
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
        lengths: of each group of coordinates: over which distance the function forgets how far it is from its trend.
        signal: of the variance of the function about its trend.
        noise: of the variance of what is observed about it.
        trend: of the variance of the trend; there is none by default.
    """

    lengths: Floats
    signal: float = 0.0
    noise: float = math.log(1e-3)
    trend: float = -math.inf


@dataclass(frozen=True)
class Belief:
    """What is thought of scales before anything is seen: a normal distribution of each logarithm.

    Args:
        lengths: the logarithms of the most probable lengths, one for each group.
        length_spread: how far a length may lie from that; standard deviations of logarithms, like those that follow.
        signal_spread: how far the variance of the function about its trend may lie from 1.
        noise: the logarithm of the noise's most probable variance.
        noise_spread: how far that may lie from it.
        trend: the logarithm of the trend's most probable variance; None for no trend.
        trend_spread: how far that may lie from it.
    """

    lengths: Sequence[float]
    length_spread: float = 1.0
    signal_spread: float = 1.0
    noise: float = math.log(1e-3)
    noise_spread: float = 2.0
    trend: float | None = None
    trend_spread: float = 1.0

    @property
    def middle(self) -> Floats:
        """The most probable scales, in the order of `Scales`; the trend's is left out where there is none."""
        return np.array([*self.lengths, 0.0, self.noise, *([] if self.trend is None else [self.trend])])

    @property
    def spread(self) -> Floats:
        """How far they may lie from these."""
        lengths = [self.length_spread] * len(self.lengths)
        trend = [] if self.trend is None else [self.trend_spread]
        return np.array([*lengths, self.signal_spread, self.noise_spread, *trend])


def matern(squares: Floats) -> tuple[Floats, Floats]:
    """Give the Matérn-5/2 correlation at squared distances, and minus twice its derivative by them.

    ``(1 + r + r**2 / 3) exp(-r)`` with r the root of 5 times the squared distance.
    """
    r = np.sqrt(5.0 * squares)
    fading = np.exp(-r)
    # In place, here and below, since half the time went into memory for what is between.
    slope = r + 1.0
    slope *= fading
    r *= r
    r *= fading
    r /= 3.0
    r += slope
    slope *= 5.0 / 3.0
    return r, slope


def _covariance(here: Floats, there: Floats, signal: float) -> Floats:
    """Give the Matérn-5/2 correlations of points divided by their lengths, times the variance of the signal."""
    # `matern` without its derivative, and in place: two thirds of the time for the many candidates of a suggestion.
    r = cdist(here, there, "sqeuclidean")
    r *= 5.0
    np.sqrt(r, out=r)
    result = r / 3.0
    result += 1.0
    result *= r
    result += 1.0
    np.negative(r, out=r)
    result *= np.exp(r, out=r)
    result *= math.exp(signal)
    return np.asarray(result)


def trends(coordinates: Floats) -> Floats:
    """Give the terms of which a trend is the sum, with weights of variance 1, for points one a row.

    For each coordinate x they are a line and a parabola, the Legendre polynomials ``sqrt(3) (2 x - 1)`` and
    ``sqrt(5) (6 x**2 - 6 x + 1)``, divided by the root of the number of all terms.
    """
    lines = math.sqrt(3.0) * (2.0 * coordinates - 1.0)
    terms = np.hstack([lines, math.sqrt(5.0) / 2.0 * (lines**2 - 1.0)])
    return np.asarray(terms / math.sqrt(terms.shape[1]))


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
        terms = trends(seen)
        covariance = _covariance(scaled, scaled, scales.signal) + math.exp(scales.trend) * (terms @ terms.T)
        covariance[np.diag_indices_from(covariance)] += math.exp(scales.noise) / counts + QUIETEST
        factor, _ = cho_factor(covariance, lower=True)
        return cls(seen, groups, scales, np.tril(factor), cho_solve((factor, True), targets), counts)

    def at(self, coordinates: Floats) -> tuple[Floats, Floats]:
        """Give the mean and the standard deviation of the function, without noise, at points one a row."""
        covariance = _covariance(coordinates / self._lengths, self._scaled, self.scales.signal)
        alone = np.full(len(coordinates), math.exp(self.scales.signal))
        if (by := math.exp(self.scales.trend)) > 0.0:
            terms = trends(coordinates)
            covariance += (by * terms) @ self._trends.T
            alone += by * np.einsum("ij,ij->i", terms, terms)
        mean = covariance @ self.weights
        explained, _ = lapack.dtrtrs(self.factor, covariance.T, lower=1, overwrite_b=1)
        variance = alone - np.einsum("ij,ij->j", explained, explained)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    @cached_property
    def _lengths(self) -> Floats:
        return _lengths(self.groups, self.scales, self.seen.shape[1])

    @cached_property
    def _scaled(self) -> Floats:
        return self.seen / self._lengths

    @cached_property
    def _trends(self) -> Floats:
        return trends(self.seen)

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

    Each target is the mean of so many observations, and that much less noisy than one.

    Source:
        Rasmussen, Williams, "Gaussian Processes for Machine Learning" (2006), equations 5.8 and 5.9.
    """
    squares = np.stack([pdist(seen[:, group], "sqeuclidean") for group in groups])
    middle, spread = belief.middle, belief.spread
    count = len(seen)
    # Where the pairs, in the order of `pdist`, lie in memory: below the diagonal, column by column.
    pairs = np.flatnonzero(np.tri(count, k=-1, dtype=bool).T)
    terms = trends(seen)
    alike = terms @ terms.T
    shared, own = alike.ravel()[pairs], np.diagonal(alike)

    def loss(vector: Floats) -> tuple[float, Floats]:
        signal, noise, *rest = vector[len(groups) :].tolist()
        weights, trend = np.exp(-2.0 * vector[: len(groups)]), math.exp(rest[0]) if rest else 0.0
        correlation, slope = matern(weights @ squares)
        covariance = np.zeros((count, count), order="F")
        covariance.T.ravel()[pairs] = math.exp(signal) * correlation + trend * shared
        alone = math.exp(signal) + trend * own
        np.fill_diagonal(covariance, alone + math.exp(noise) / counts + QUIETEST)
        factor, failed = lapack.dpotrf(covariance, lower=1, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(vector)
        half_log = np.log(np.diagonal(factor)).sum()
        solved, _ = lapack.dpotrs(factor, targets, lower=1)
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        inverse -= np.outer(solved, solved).T
        by_covariance, by_variance = inverse.T.ravel()[pairs], np.diagonal(inverse)
        deviation = (vector - middle) / spread
        gradient = deviation / spread
        of_lengths, of_others = gradient[: len(groups)], gradient[len(groups) :]
        of_lengths += (squares @ (by_covariance * slope)) * weights * math.exp(signal)
        of_others[0] += math.exp(signal) * (by_covariance @ correlation + 0.5 * by_variance.sum())
        of_others[1] += math.exp(noise) * (0.5 * (by_variance / counts).sum())
        of_others[2:] += trend * (by_covariance @ shared + 0.5 * by_variance @ own)
        return float(0.5 * targets @ solved + half_log + 0.5 * deviation @ deviation), gradient

    bounds = [(at - 4 * by, at + 4 * by) for at, by in zip(middle, spread, strict=True)]
    found = minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS, "ftol": 1e-5})
    return Scales(found.x[: len(groups)], *found.x[len(groups) :].tolist())
