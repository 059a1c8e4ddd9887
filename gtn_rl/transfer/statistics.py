"""Summary statistics of a set of agents: interquartile mean, bootstrap interval, solve rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 9999


@dataclass(frozen=True)
class Summary:
    """Statistics over agents, each represented by its mean real return.

    Attributes:
        n: Number of agents.
        iqm: Interquartile mean (Agarwal et al., NeurIPS 2021): the mean of the middle half.
        low: Lower end of the IQM's 95% bootstrap interval; None for fewer than two agents.
        high: Upper end of this interval.
        mean: Mean over agents.
        minimum: Score of the worst agent.
        spread: Sample standard deviation over agents (n - 1); None for fewer than two.
        solve_rate: Share of agents at or above the task's threshold; None if it has none.
        diverged: Number of agents that diverged: they did not solve the task, and have the worst score.
    """

    n: int
    iqm: float
    low: float | None
    high: float | None
    mean: float
    minimum: float
    spread: float | None
    solve_rate: float | None
    diverged: int = 0


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the mean of the values between the quartiles, along an axis."""
    mean: np.ndarray = stats.trim_mean(values, 0.25, axis=axis)
    return mean


def summarise(returns: Sequence[float | None], threshold: float | None, worst: float = math.nan) -> Summary:
    """Computes the statistics of a set of agents.

    Args:
        returns: Mean real return of each agent; at least one. None for an agent that diverged.
        threshold: Mean return from which the task is solved.
        worst: Score of agents that diverged.
    """
    values = np.array([worst if mean is None else mean for mean in returns], dtype=np.float64)
    low, high = _interval(values)
    return Summary(
        n=len(values),
        iqm=float(interquartile_mean(values)),
        low=low,
        high=high,
        mean=float(values.mean()),
        minimum=float(values.min()),
        spread=float(values.std(ddof=1)) if len(values) > 1 else None,
        solve_rate=None if threshold is None else sum(x is not None and x >= threshold for x in returns) / len(values),
        diverged=sum(mean is None for mean in returns),
    )


def _interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Returns the percentile bootstrap interval; scipy's default, BCa, has none if all agents are equal."""
    if len(values) < 2:
        return None, None
    found = stats.bootstrap(
        (values,), interquartile_mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


def figures(returns: np.ndarray) -> dict[str, float]:
    """Returns mean, standard deviation, minimum and maximum of one agent's returns over real episodes, (episodes,)."""
    return {
        "mean": float(returns.mean()),
        "std": float(returns.std()),
        "minimum": float(returns.min()),
        "maximum": float(returns.max()),
    }
