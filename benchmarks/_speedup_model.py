"""The model of docs/scaling.md: speed-up by more workers, from the cost of a step and of communication."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

MESSAGE = 1024
"""Bytes that each worker sends to all others in a gather."""


@dataclass(frozen=True)
class Wire:
    """A connection between workers.

    Attributes:
        latency: Seconds per hop.
        bandwidth: Bytes per second.
    """

    latency: float
    bandwidth: float

    def gather(self, n: int, size: float = MESSAGE) -> float:
        """Returns the seconds in which each of n workers in a ring sends ``size`` bytes to all others."""
        return (n - 1) * (self.latency + size / self.bandwidth)

    def all_reduce(self, n: int, size: float) -> float:
        """Returns the seconds of a ring all-reduce of ``size`` bytes over n workers: reduce-scatter, then all-gather."""
        return 2 * (n - 1) * (self.latency + size / n / self.bandwidth)


def longest(mean: float, spread: float, n: int) -> float:
    """Returns the approximate mean time of the slowest of n workers with normally distributed times (Blom, 1958)."""
    return mean + spread * NormalDist().inv_cdf((n - 0.375) / (n + 0.25))


def backprop_speedup(n: int, mean: float, spread: float, size: float, wire: Wire) -> float:
    """Returns the ratio of episodes per second of n workers, each with its own episodes, to those of one.

    Args:
        n: Number of workers.
        mean: Mean seconds of an episode and its gradient.
        spread: Standard deviation of these seconds, since learners differ.
        size: Bytes of the teacher's gradient.
        wire: Connection between the workers.
    """
    crossing = wire.all_reduce(n, size) + 3 * wire.gather(n)
    return n * mean / (longest(mean, spread, n) + crossing)


def evolution_speedup(n: int, fixed: float, member: float, population: int, wire: Wire) -> float:
    """Returns the ratio of generations per second of n workers, which share the population, to those of one.

    Args:
        n: Number of workers.
        fixed: Seconds of a share that do not depend on its size, i.e. of an agent's sequential steps.
        member: Seconds per candidate.
        population: P.
        wire: Connection between the workers.
    """

    def seconds(part: int) -> float:
        return fixed + (part + 1) * member  # every worker also evaluates the mean of the search distribution

    return seconds(population) / (seconds(math.ceil(population / n)) + 4 * wire.gather(n))
