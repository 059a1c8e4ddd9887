"""What A2C and PPO share: experience collected under the current policy, and the advantages of its actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_rl.agents.actor import ActorCritics
from gtn_rl.models.variants import Copies


@dataclass(frozen=True)
class Segment:
    """T steps of E copies of P agents; where said, flattened over time and copies to n = T E entries, time first.

    Attributes:
        observations: ``(P, n, d)``.
        actions: ``(P, n)`` or ``(P, n, m)``, unclipped.
        rewards: ``(P, E)`` of each step; where a time limit cut an episode off, with the discounted value of its last state.
        ends: Whose episode was over after it, 1 or 0, ``(P, E)`` or ``(1, E)`` of each step.
        following: What the critic says of the states after the last step, ``(P, E)``.
        discount: Gamma.
    """

    observations: Tensor
    actions: Tensor
    rewards: list[Tensor]
    ends: list[Tensor]
    following: Tensor
    discount: float

    def advantages(self, values: Tensor, trace: float) -> Tensor:
        """Returns generalised advantages (Schulman et al., ICLR 2016), ``(P, n)``.

        Args:
            values: What the critic says of ``observations``, ``(P, n)``, without a gradient.
            trace: Lambda.
        """
        following = self.following
        advantage = torch.zeros_like(following)
        advantages = []
        by_step = values.split(following.shape[1], dim=1)
        for reward, value, end in zip(reversed(self.rewards), reversed(by_step), reversed(self.ends), strict=True):
            going_on = self.discount * (1 - end)
            advantage = reward + going_on * (following + trace * advantage) - value
            advantages.append(advantage)
            following = value
        return torch.cat(advantages[::-1], dim=1)


@torch.no_grad()
def collect(
    agents: ActorCritics, copies: Copies, steps: int, generator: torch.Generator, *, discount: float
) -> Segment:
    """Steps all copies.

    Nothing comes after a termination; an episode that a time limit cut off is worth the value of its last state on top, as in
    Stable-Baselines3. Of all other states the critic is not asked: who learns from them does, of all at once.

    Args:
        agents: Actors and critics.
        copies: The environments.
        steps: T, of every copy.
        generator: Draws the actions.
        discount: Gamma.
    """
    seen, taken, rewards, ends = [], [], [], []
    for _ in range(steps):
        observations = copies.observations()
        actions = agents.sample(observations, generator)
        transition = copies.step(agents.environment_actions(actions))
        reward = transition.reward
        truncated = transition.truncated
        if truncated.any():
            over = truncated.any(dim=0).nonzero().squeeze(1)
            beyond = agents.values(transition.last[:, over]) * truncated[:, over].to(reward)
            reward = reward.index_add(1, over.to(reward.device), discount * beyond)
        seen.append(observations)
        taken.append(actions)
        rewards.append(reward)
        ends.append(transition.ended.to(reward))
    following = torch.zeros_like(rewards[-1]) if ends[-1].all() else agents.values(copies.observations())
    return Segment(torch.cat(seen, dim=1), torch.cat(taken, dim=1), rewards, ends, following, discount)
