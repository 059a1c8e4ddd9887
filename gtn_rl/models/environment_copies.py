"""Copies of learned environments that an agent steps: states, episode ends and resets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gtn_rl.models.episodes import BLOCK, Episodes, StartsAhead
from gtn_rl.models.variants import Transition

if TYPE_CHECKING:
    from gtn_rl.models.environment import Model


class CopiesInStep:
    """Copies whose episodes end by their time limit only, and so together in all variants.

    Args:
        model: The environments.
        count: E, the number of copies of each variant.
        generator: Source of initial states.
        stagger: Whether the first episodes end at different times, like those of one long-running copy.
    """

    def __init__(self, model: Model, count: int, generator: torch.Generator, *, stagger: bool = False) -> None:
        self.count, self._model, self._generator = count, model, generator
        self._which = torch.empty(0, dtype=torch.long)
        self._noise = torch.empty(0, model.means.shape[2])
        self._limit = model.max_episode_steps
        self._age = torch.arange(count) % self._limit if stagger else torch.zeros(count, dtype=torch.long)
        self._no = torch.zeros(1, count, dtype=torch.bool)
        self._x = self._fresh(count)
        self._seen = model.observe(self._x)

    def observations(self) -> Tensor:
        """See ``Copies.observations``."""
        return self._seen

    def step(self, actions: Tensor) -> Transition:
        """See ``Copies.step``."""
        model = self._model
        reward = model.rewards(self._x, actions)
        if model.bandit:
            last, self._x = self._seen, self._fresh(self.count)
            self._seen = model.observe(self._x)
            return Transition(reward, ~self._no, self._no, last)
        self._x = model.step(self._x, actions)
        self._seen = last = model.observe(self._x)
        self._age += 1
        ended = self._age >= self._limit
        if ended.any():
            self._age[ended] = 0
            over = ended.nonzero().squeeze(1)
            fresh, where = self._fresh(len(over)), over.to(last.device)
            self._x = self._x.index_copy(1, where, fresh)
            self._seen = last.index_copy(1, where, model.observe(fresh))
        terminated, truncated = (ended, self._no[0]) if model.limit_terminates else (self._no[0], ended)
        return Transition(reward, terminated.unsqueeze(0), truncated.unsqueeze(0), last)

    def _fresh(self, n: int) -> Tensor:
        if len(self._which) < n:
            size = max(BLOCK, n)
            self._which = torch.randint(self._model.means.shape[1], (size,), generator=self._generator)
            self._noise = torch.randn(size, self._model.means.shape[2], generator=self._generator)
        which, self._which = self._which[:n], self._which[n:]
        noise, self._noise = self._noise[:n], self._noise[n:]
        return self._model.initial_from(which.to(self._model.means.device), noise.to(self._model.means))


class CopiesApart:
    """Copies with a termination network, whose episodes end independently of each other.

    Args:
        model: The environments.
        count: E, the number of copies of each variant.
        generator: Seeds the stream of initial states.
        stagger: Whether the first episodes are truncated at different times.
    """

    def __init__(self, model: Model, count: int, generator: torch.Generator, *, stagger: bool = False) -> None:
        self.count, self._model = count, model
        centres, d = model.means.shape[1:]

        def draw(n: int, random: np.random.Generator) -> tuple[np.ndarray, ...]:
            return random.integers(centres, size=n), random.standard_normal((n, d), np.float32)

        self._starts = StartsAhead(count, draw, generator)
        device, limit = model.means.device, model.max_episode_steps
        self._episodes = Episodes(model.size, count, limit, stagger=stagger, device=device)
        everyone = torch.ones(model.size, count, dtype=torch.bool, device=device).nonzero(as_tuple=True)
        self._x = self._fresh(*everyone).view(model.size, count, d)
        self._seen = model.observe(self._x)

    def observations(self) -> Tensor:
        """See ``Copies.observations``."""
        return self._seen

    def step(self, actions: Tensor) -> Transition:
        """See ``Copies.step``."""
        model = self._model
        reward = model.rewards(self._x, actions)
        self._x = model.step(self._x, actions)
        self._seen = last = model.observe(self._x)
        terminated = model.terminated(self._x)
        truncated = self._episodes.step(terminated)
        if model.limit_terminates:
            terminated, truncated = terminated | truncated, torch.zeros_like(truncated)
        transition = Transition(reward, terminated, truncated, last)
        where = transition.ended.nonzero(as_tuple=True)
        if len(where[0]):
            fresh = self._fresh(*where)
            self._x, self._seen = self._x.index_put(where, fresh), last.index_put(where, model.observe(fresh))
        return transition

    def _fresh(self, members: Tensor, copies: Tensor) -> Tensor:
        """Returns the initial states ``(k, d)`` of the current episodes of copies ``(k,)`` of members ``(k,)``."""
        starts = self._starts.at(self._episodes.number[members, copies], copies)
        which, noise = (torch.from_numpy(start).to(members.device) for start in starts)
        return self._model.initial_at(members, which, noise)
