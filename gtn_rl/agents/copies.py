"""Copies of learned environments that an agent steps: states, time limits, fresh starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_rl.model import Model

BLOCK = 512
"""Initial states drawn at once."""


@dataclass(frozen=True)
class Transition:
    """One step of ``(P, E)`` copies.

    Attributes:
        reward: ``(P, E)``.
        ended: ``(E,)``, bool: the episode is over, for all variants at once.
        terminated: Whether an end is the task's own (a bandit), so that nothing comes after it, or a time limit.
        last: Normalised state after the step, ``(P, E, d)``, before any fresh start.
    """

    reward: Tensor
    ended: Tensor
    terminated: bool
    last: Tensor


class Copies:
    """E copies of each of a model's P variants; episodes of the variants begin and end together, with the same noise.

    Args:
        model: The environments.
        count: E.
        generator: Source of initial states.
        stagger: Whether the first episodes end at different times, as those of one long-running copy would.
    """

    def __init__(self, model: Model, count: int, generator: torch.Generator, *, stagger: bool = False) -> None:
        self.model, self.count, self._generator = model, count, generator
        self._which = torch.empty(0, dtype=torch.long)
        self._noise = torch.empty(0, model.means.shape[2])
        self.limit = model.max_episode_steps
        self.age = torch.arange(count) % self.limit if stagger else torch.zeros(count, dtype=torch.long)
        self.x = self._fresh(count)

    def observations(self) -> Tensor:
        """Returns what the agents see, ``(P, E, d)``."""
        return self.model.observe(self.x)

    def step(self, actions: Tensor) -> Transition:
        """Takes actions ``(P, E)`` or normalised ``(P, E, m)``; copies that ended start afresh."""
        reward = self.model.rewards(self.x, actions)
        if self.limit == 1:
            last, self.x = self.x, self._fresh(self.count)
            return Transition(reward, torch.ones(self.count, dtype=torch.bool), True, last)
        last = self.model.step(self.x, actions)
        self.age += 1
        ended = self.age >= self.limit
        self.x = last
        if ended.any():
            self.age[ended] = 0
            over = ended.nonzero().squeeze(1)
            self.x = last.index_copy(1, over.to(last.device), self._fresh(len(over)))
        return Transition(reward, ended, False, last)

    def _fresh(self, n: int) -> Tensor:
        if len(self._which) < n:
            size = max(BLOCK, n)
            self._which = torch.randint(self.model.means.shape[1], (size,), generator=self._generator)
            self._noise = torch.randn(size, self.model.means.shape[2], generator=self._generator)
        which, self._which = self._which[:n], self._which[n:]
        noise, self._noise = self._noise[:n], self._noise[n:]
        return self.model.initial_from(which.to(self.model.means.device), noise.to(self.model.means))
