"""Bookkeeping for copies whose episodes end independently: ages, time limits, and the starts of episodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

BLOCK = 512
"""Number of starts drawn at once; it is constant, so that the n-th start depends on nothing else."""


class Episodes:
    """Age and number of the current episode of each of E copies of each of P variants.

    Args:
        size: P.
        count: E.
        limit: Time limit of an episode, in steps.
        stagger: Whether the first episodes are truncated at different times, like those of one long-running copy.
        device: Device of the counters.

    Attributes:
        number: Number of the current episode, from 0, ``(P, E)``.
    """

    def __init__(self, size: int, count: int, limit: int, *, stagger: bool, device: torch.device) -> None:
        first = torch.arange(count, device=device) % limit if stagger else torch.zeros(count, device=device).long()
        self._age, self._limit = first.repeat(size, 1), limit
        self.number = torch.zeros_like(self._age)

    def step(self, terminated: Tensor, cut_off: Tensor | None = None) -> Tensor:
        """Ages every copy by one step and starts the next episode where one is over.

        Args:
            terminated: Where the environment has terminated the episode, ``(P, E)``.
            cut_off: Where the episode was truncated for a reason other than this limit, ``(P, E)``; None for nowhere.

        Returns:
            Where the episode was truncated, by this limit or otherwise, without having terminated, ``(P, E)``.
        """
        self._age += 1
        late = self._age >= self._limit
        truncated = (late if cut_off is None else late | cut_off) & ~terminated
        ended = terminated | truncated
        self._age.masked_fill_(ended, 0)
        self.number += ended
        return truncated


class StartsAhead:
    """Episode starts drawn in advance: episode j of copy e starts the same in every variant, whenever it is reached.

    Args:
        count: E, the number of copies of each variant.
        draw: ``(n, random)`` -> the next n starts, as arrays with one row each.
        generator: Seeds a separate stream, so that the time at which starts are drawn affects nothing else.
    """

    def __init__(
        self, count: int, draw: Callable[[int, np.random.Generator], tuple[np.ndarray, ...]], generator: torch.Generator
    ) -> None:
        self._count, self._draw = count, draw
        self._random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        self._drawn: tuple[np.ndarray, ...] = draw(BLOCK, self._random)

    def at(self, episodes: Tensor, copies: Tensor) -> tuple[np.ndarray, ...]:
        """Returns the starts of episodes ``(k,)`` of copies ``(k,)``: one row for each in every array."""
        rows = (episodes * self._count + copies).cpu().numpy()
        while len(self._drawn[0]) <= rows.max():
            more = self._draw(BLOCK, self._random)
            self._drawn = tuple(np.concatenate(both) for both in zip(self._drawn, more, strict=True))
        return tuple(array[rows] for array in self._drawn)
