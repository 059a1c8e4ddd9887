"""What more workers gain, from the cost of a step and of what crosses between them: the model of docs/scaling.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

MESSAGE = 1024
"""Bytes that each worker tells all others in a gather, of which a step has two."""


@dataclass(frozen=True)
class Wire:
    """A connection between workers.

    Attributes:
        latency: Seconds of one hop.
        bandwidth: Bytes a second.
    """

    latency: float
    bandwidth: float

    def gather(self, n: int, size: float = MESSAGE) -> float:
        """Returns the seconds in which n workers in a ring tell all others ``size`` bytes each."""
        return (n - 1) * (self.latency + size / self.bandwidth)

    def all_reduce(self, n: int, size: float) -> float:
        """Returns the seconds in which a ring sums ``size`` bytes over n workers: a scatter and a gather of parts."""
        return 2 * (n - 1) * (self.latency + size / n / self.bandwidth)


def longest(mean: float, spread: float, n: int) -> float:
    """Returns how long the slowest of n takes, about, where times are spread normally: all wait for it (Blom's formula)."""
    return mean + spread * NormalDist().inv_cdf((n - 0.375) / (n + 0.25))


def backprop_speedup(n: int, mean: float, spread: float, size: float, wire: Wire) -> float:
    """Returns the episodes per second of n workers over those of one, each with episodes of its own.

    Args:
        n: Workers.
        mean: Seconds of an episode and its gradient.
        spread: Their standard deviation, as learners differ.
        size: Bytes of the teacher's gradient.
        wire: Between them.
    """
    crossing = wire.all_reduce(n, size) + 2 * wire.gather(n)
    return n * mean / (longest(mean, spread, n) + crossing)


def evolution_speedup(n: int, fixed: float, member: float, population: int, wire: Wire) -> float:
    """Returns the generations per second of n workers over those of one, which judge parts of the population.

    Args:
        n: Workers.
        fixed: Seconds of a part that do not depend on its size: the steps that an agent takes one after the other.
        member: Seconds that each candidate adds.
        population: P.
        wire: Between them.
    """

    def seconds(part: int) -> float:
        return fixed + (part + 1) * member  # the search's mean is judged by all

    return seconds(population) / (seconds(math.ceil(population / n)) + 3 * wire.gather(n))
