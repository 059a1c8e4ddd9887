"""The books of copies whose episodes end each at its own time: ages, time limits, and where the next episode starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

BLOCK = 512
"""Starts drawn at once, always as many: what the n-th one is depends on nothing else."""


class Episodes:
    """Age and number of the episode that each of E copies of each of P variants is in.

    Args:
        size: P.
        count: E.
        limit: Most steps of an episode.
        stagger: Whether the first episodes are cut off at different times, as those of one long-running copy would be.
        device: Where to keep count.

    Attributes:
        number: From 0, ``(P, E)``.
    """

    def __init__(self, size: int, count: int, limit: int, *, stagger: bool, device: torch.device) -> None:
        first = torch.arange(count, device=device) % limit if stagger else torch.zeros(count, device=device).long()
        self._age, self._limit = first.repeat(size, 1), limit
        self.number = torch.zeros_like(self._age)

    def step(self, terminated: Tensor, cut_off: Tensor | None = None) -> Tensor:
        """Ages every copy by one step; where its episode is over, the next one begins.

        Args:
            terminated: Whose episode the environment has ended, ``(P, E)``.
            cut_off: Whose episode was cut off for another reason than this limit, ``(P, E)``; None for nobody's.

        Returns:
            Whose episode was cut off, by the limit too, and had not terminated, ``(P, E)``.
        """
        self._age += 1
        late = self._age >= self._limit
        truncated = (late if cut_off is None else late | cut_off) & ~terminated
        ended = terminated | truncated
        self._age.masked_fill_(ended, 0)
        self.number += ended
        return truncated


class StartsAhead:
    """Where episodes start, drawn in advance: episode j of copy e starts alike in every variant, whenever one comes to it.

    Args:
        count: E.
        draw: ``(n, random)`` -> the next n starts, in arrays with a row for each.
        generator: Seeds a stream of their own, so that when they are drawn moves nothing else.
    """

    def __init__(
        self, count: int, draw: Callable[[int, np.random.Generator], tuple[np.ndarray, ...]], generator: torch.Generator
    ) -> None:
        self._count, self._draw = count, draw
        self._random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        self._drawn: tuple[np.ndarray, ...] = draw(BLOCK, self._random)

    def at(self, episodes: Tensor, copies: Tensor) -> tuple[np.ndarray, ...]:
        """Returns the starts of episodes ``(k,)`` of copies ``(k,)``: a row for each in every array."""
        rows = (episodes * self._count + copies).cpu().numpy()
        while len(self._drawn[0]) <= rows.max():
            more = self._draw(BLOCK, self._random)
            self._drawn = tuple(np.concatenate(both) for both in zip(self._drawn, more, strict=True))
        return tuple(array[rows] for array in self._drawn)
