"""The replay buffer of off-policy agents: every transition of a training run, for all members."""

from __future__ import annotations

import torch
from torch import Tensor

from gtn_rl.models.variants import Copies, Variants


class Replay:
    """A replay buffer that keeps all transitions.

    Args:
        variants: The environments.
        copies: The copies to step.
        capacity: Maximum number of transitions per member.

    Attributes:
        observations: ``(P, capacity, d)``.
        following: The next observations, likewise; empty for a bandit.
        going_on: 0 where the environment terminated the episode, else 1, ``(P, capacity)``; empty for a bandit.
        actions: ``(P, capacity)``, or ``(P, capacity, m)`` normalised.
        rewards: ``(P, capacity)``.
        count: Number of transitions per member so far.
        bandit: See ``Variants.bandit``.
    """

    def __init__(self, variants: Variants, copies: Copies, capacity: int) -> None:
        spec, seen = variants.spec, copies.observations()
        self._copies, self.count, self.bandit = copies, 0, variants.bandit
        self.observations = seen.new_empty(variants.size, capacity, spec.observation_size)
        beyond = 0 if self.bandit else capacity
        self.following = torch.empty_like(self.observations[:, :beyond])
        self.going_on = seen.new_empty(variants.size, beyond)
        if spec.discrete:
            self.actions = torch.empty(variants.size, capacity, dtype=torch.long, device=seen.device)
        else:
            self.actions = seen.new_empty(variants.size, capacity, spec.action_size)
        self.rewards = seen.new_empty(variants.size, capacity)

    @torch.no_grad()
    def add(self, actions: Tensor) -> None:
        """Steps the copies and stores the transitions; the room left must be a multiple of the number of copies."""
        where = slice(self.count, self.count + self._copies.count)
        self.observations[:, where] = self._copies.observations()
        transition = self._copies.step(actions)
        self.actions[:, where], self.rewards[:, where] = actions, transition.reward
        if not self.bandit:
            self.following[:, where] = transition.last
            self.going_on[:, where] = ~transition.terminated
        self.count += self._copies.count
