"""The memory of off-policy agents: every transition of a training, of all members."""

from __future__ import annotations

import torch
from torch import Tensor

from gtn_rl.agents.copies import Copies
from gtn_rl.model import Model


class Replay:
    """All transitions of a training.

    Args:
        model: The environments.
        capacity: Most transitions of each member.

    Attributes:
        observations: Shape ``(P, capacity, d)``.
        following: The observations after them; empty for a bandit.
        actions: ``(P, capacity)``, or ``(P, capacity, m)`` normalised.
        rewards: ``(P, capacity)``.
        count: How many there are so far.
    """

    def __init__(self, model: Model, capacity: int) -> None:
        spec, size = model.spec, model.size
        self.model, self.count = model, 0
        self.observations = model.means.new_empty(size, capacity, spec.observation_size)
        self.following = (
            torch.empty_like(self.observations) if model.max_episode_steps > 1 else self.observations[:, :0]
        )
        if spec.discrete:
            self.actions = torch.empty(size, capacity, dtype=torch.long, device=model.means.device)
        else:
            self.actions = model.means.new_empty(size, capacity, spec.action_size)
        self.rewards = model.means.new_empty(size, capacity)

    @torch.no_grad()
    def add(self, copies: Copies, actions: Tensor) -> None:
        """Steps the copies and keeps what happened; their number must divide what room is left."""
        where = slice(self.count, self.count + copies.count)
        self.observations[:, where] = copies.observations()
        transition = copies.step(actions)
        self.actions[:, where], self.rewards[:, where] = actions, transition.reward
        if not transition.terminated:
            self.following[:, where] = self.model.observe(transition.last)
        self.count += copies.count
