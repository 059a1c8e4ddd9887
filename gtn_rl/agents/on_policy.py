"""What A2C and PPO share: experience collected with the current policy, and the advantages of its actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_rl.agents.actor import ActorCritics
from gtn_rl.models.variants import Copies


@dataclass(frozen=True)
class Segment:
    """T steps of E copies of P agents; flattened, with time first, they are n = T E entries.

    Attributes:
        observations: ``(P, n, d)``.
        actions: ``(P, n)`` or ``(P, n, m)``, unclipped.
        rewards: One ``(P, E)`` per step; where a time limit cut an episode off, the discounted value of its last state
            is added.
        ends: One ``(P, E)`` or ``(1, E)`` per step: 1 where the episode was over after it, else 0.
        following: The critic's values of the states after the last step, ``(P, E)``.
        discount: Discount factor.
    """

    observations: Tensor
    actions: Tensor
    rewards: list[Tensor]
    ends: list[Tensor]
    following: Tensor
    discount: float

    def advantages(self, values: Tensor, trace: float) -> Tensor:
        """Returns generalised advantage estimates (Schulman et al., ICLR 2016), ``(P, n)``.

        Args:
            values: The critic's values of ``observations``, ``(P, n)``, without a gradient.
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
    """Steps all copies and records the experience.

    There is no bootstrapping beyond a termination; an episode that a time limit cut off has the value of its last state
    added to its reward, as in Stable-Baselines3. The critic's values of the other states are left to the caller, who
    computes them all at once.

    Args:
        agents: Actors and critics.
        copies: The environments.
        steps: T, the number of steps per copy.
        generator: Draws the actions.
        discount: Discount factor.
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
