"""Rank correlations with bootstrap intervals, and the ceiling that noise between seeds sets to all of them."""

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
    """A figure with its 95% bootstrap interval over architectures, by percentiles.

    Attributes:
        value: On all of them; NaN where one side is constant.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Correlation:
    """How well scores order architectures as their accuracies do.

    Attributes:
        n: Architectures.
        spearman: Correlation of the ranks.
        kendall: Tau-b: share of pairs in the same order minus share in the other, ties accounted for.
        partial: Spearman's once what both owe to the parameter count is taken out.
    """

    n: int
    spearman: Interval
    kendall: Interval
    partial: Interval


def correlate(scores: Array, accuracies: Array, parameters: Array, seed: int = 0) -> Correlation:
    """Computes all correlations of a set of architectures.

    Args:
        scores: Shape ``(n,)``; minus infinity for what failed, which is then last.
        accuracies: Shape ``(n,)``.
        parameters: Parameter counts, shape ``(n,)``.
        seed: Of the bootstrap.

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
    """Returns Spearman's correlation along the last axis; equals share their rank, and a constant row gives NaN."""
    x, y = (stats.rankdata(side, axis=-1) for side in (a, b))
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return result


def partial_of(ab: Array, ac: Array, bc: Array) -> Array:
    """Returns the correlation of a and b given c, from the three between them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = (ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2))
    return np.where(np.isclose(np.abs(ac), 1) | np.isclose(np.abs(bc), 1), math.nan, result)


def _kendall(a: Array, b: Array, index: NDArray[np.int64]) -> Array:
    """Returns Kendall's tau-b of each row of ``index``, by how often it holds each architecture: ``w' C w`` sums over pairs."""
    counts = np.stack([np.bincount(row, minlength=len(a)) for row in index]).astype(float)
    x, y = (np.greater.outer(side, side).astype(float) - np.less.outer(side, side) for side in (a, b))
    agree, of_x, of_y = (np.einsum("bi,ij,bj->b", counts, m, counts, optimize=True) for m in (x * y, x * x, y * y))
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = agree / np.sqrt(of_x * of_y)
    return result


@dataclass(frozen=True)
class Ceiling:
    """How far noise between the seeds of a ground truth lets any ranker come.

    Attributes:
        between_seeds: Mean Spearman correlation between the accuracies of two seeds.
        reliability: The same between means over as many seeds as there are, by the Spearman-Brown formula; NaN where seeds
            disagree more than by chance.
        ceiling: What a ranker that knew the true order would reach against that mean: the root of the reliability.
    """

    between_seeds: float
    reliability: float
    ceiling: float


def seed_noise(by_seed: Array) -> Ceiling:
    """Computes the ceiling from accuracies of shape ``(architectures, seeds)``; NaN for a single seed."""
    seeds = by_seed.shape[1]
    pairs = [float(spearman(by_seed[:, i], by_seed[:, j])) for i, j in itertools.combinations(range(seeds), 2)]
    one = float(np.mean(pairs)) if pairs else math.nan
    many = seeds * one / (1 + (seeds - 1) * one) if one >= 0 else math.nan
    return Ceiling(one, many, math.sqrt(many))


def top_half(accuracies: Array) -> NDArray[np.int64]:
    """Returns which architectures are the better half by accuracy, as the paper's second figure has it."""
    order = np.argsort(-accuracies, kind="stable")
    return np.sort(order[: -(-len(order) // 2)])
