"""Rank correlations with bootstrap intervals, and the ceiling that noise between seeds sets on them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
"""Bootstrap resamples of the architectures."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A statistic with its 95% percentile-bootstrap interval over architectures.

    Attributes:
        value: The statistic on all architectures; NaN if one side is constant.
        low: Lower end, the 2.5th percentile.
        high: Upper end, the 97.5th percentile.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Correlation:
    """Rank correlations between scores and accuracies.

    Attributes:
        n: Number of architectures.
        spearman: Spearman's correlation.
        kendall: Kendall's tau-b: share of concordant minus share of discordant pairs, adjusted for ties.
        partial: Partial Spearman correlation given the parameter count.
    """

    n: int
    spearman: Interval
    kendall: Interval
    partial: Interval


def correlate(scores: Array, accuracies: Array, parameters: Array, seed: int = 0) -> Correlation:
    """Computes all correlations of a set of architectures.

    Args:
        scores: Shape ``(n,)``; minus infinity for failures, which tie for the last rank.
        accuracies: Shape ``(n,)``.
        parameters: Parameter counts, shape ``(n,)``.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: There are fewer than three architectures.
    """
    n = len(scores)
    if n < 3:
        raise ValueError(f"a correlation needs at least 3 architectures, not {n}")
    chosen = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    whole = np.arange(n)[None]

    def interval(figure: Callable[[NDArray[np.int64]], Array]) -> Interval:
        resampled = figure(chosen)
        resampled = resampled[np.isfinite(resampled)]
        low, high = np.percentile(resampled, [2.5, 97.5]) if len(resampled) else (math.nan, math.nan)
        return Interval(float(figure(whole)[0]), float(low), float(high))

    def partial(index: NDArray[np.int64]) -> Array:
        pairs = ((scores, accuracies), (scores, parameters), (accuracies, parameters))
        return partial_of(*(spearman(a[index], b[index]) for a, b in pairs))

    return Correlation(
        n,
        spearman=interval(lambda index: spearman(scores[index], accuracies[index])),
        kendall=interval(lambda index: _kendall(scores, accuracies, index)),
        partial=interval(partial),
    )


def spearman(a: Array, b: Array) -> Array:
    """Returns Spearman's correlation along the last axis; ties get their average rank, and a constant row gives NaN."""
    x, y = (stats.rankdata(side, axis=-1) for side in (a, b))
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return result


def partial_of(ab: Array, ac: Array, bc: Array) -> Array:
    """Returns the partial correlation of a and b given c from the pairwise ones; NaN if ``|ac|`` or ``|bc|`` is 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    return np.where(np.isclose(np.abs(ac), 1) | np.isclose(np.abs(bc), 1), math.nan, result)


def _kendall(a: Array, b: Array, index: NDArray[np.int64]) -> Array:
    """Returns Kendall's tau-b of each row of ``index``.

    With ``w`` the number of times that the row holds each architecture, ``w' C w`` sums ``C`` over all of its pairs.
    """
    counts = np.stack([np.bincount(row, minlength=len(a)) for row in index]).astype(float)
    x, y = (np.greater.outer(side, side).astype(float) - np.less.outer(side, side) for side in (a, b))
    agree, of_x, of_y = (np.einsum("bi,ij,bj->b", counts, m, counts, optimize=True) for m in (x * y, x * x, y * y))
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = agree / np.sqrt(of_x * of_y)
    return result


@dataclass(frozen=True)
class Ceiling:
    """The highest correlation that noise between the seeds of a ground truth lets a ranker reach.

    Attributes:
        between_seeds: Mean Spearman correlation between the accuracies of two seeds.
        reliability: The same between two means over this number of seeds, predicted by the Spearman-Brown formula; NaN
            if ``between_seeds`` is negative.
        ceiling: Correlation of the true order with the mean over seeds: the square root of the reliability.
    """

    between_seeds: float
    reliability: float
    ceiling: float


def seed_noise(by_seed: Array) -> Ceiling:
    """Computes the ceiling from accuracies of shape ``(architectures, seeds)``; all NaN for a single seed."""
    seeds = by_seed.shape[1]
    pairs = [float(spearman(by_seed[:, i], by_seed[:, j])) for i, j in itertools.combinations(range(seeds), 2)]
    one = float(np.mean(pairs)) if pairs else math.nan
    many = seeds * one / (1 + (seeds - 1) * one) if one >= 0 else math.nan
    return Ceiling(one, many, math.sqrt(many))


def top_half(accuracies: Array) -> NDArray[np.int64]:
    """Returns the sorted indices of the more accurate half (rounded up), as in the paper's second correlation."""
    order = np.argsort(-accuracies, kind="stable")
    return np.sort(order[: -(-len(order) // 2)])
