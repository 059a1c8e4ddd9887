"""What A2C and PPO share: a segment of experience, and the advantages of its actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_rl.agents.actor import ActorCritic
from gtn_rl.variants import Copies


@dataclass(frozen=True)
class Segment:
    """Experience of P agents, flattened over time and copies to n entries.

    Attributes:
        observations: ``(P, n, d)``.
        actions: ``(P, n)`` or ``(P, n, m)``, unclipped.
        advantages: ``(P, n)``.
        returns: ``(P, n)``, what the critic should say.
    """

    observations: Tensor
    actions: Tensor
    advantages: Tensor
    returns: Tensor


@torch.no_grad()
def collect(
    networks: ActorCritic,
    phi: Tensor,
    copies: Copies,
    steps: int,
    generator: torch.Generator,
    *,
    discount: float,
    trace: float,
) -> Segment:
    """Steps all copies and computes generalised advantages (Schulman et al., ICLR 2016).

    Nothing comes after a termination; an episode that a time limit cut off is worth the value of its last state on top, as in
    Stable-Baselines3.

    Args:
        networks: Actor and critic.
        phi: Parameters, ``(P, D)``.
        copies: The environments.
        steps: Steps of every copy.
        generator: Draws the actions.
        discount: Gamma.
        trace: Lambda.
    """
    agents = networks.of(phi)
    seen, taken, rewards, values, ends = [], [], [], [], []
    for _ in range(steps):
        observations = copies.observations()
        actions = agents.sample(observations, generator)
        transition = copies.step(networks.environment_actions(actions))
        reward = transition.reward
        truncated = transition.truncated
        if truncated.any():
            over = truncated.any(dim=0).nonzero().squeeze(1)
            beyond = agents.values(transition.last[:, over]) * truncated[:, over].to(reward)
            reward = reward.index_add(1, over.to(reward.device), discount * beyond)
        seen.append(observations)
        taken.append(actions)
        rewards.append(reward)
        values.append(agents.values(observations))
        ends.append(transition.ended.to(reward))
    following = values[-1] if ends[-1].all() else agents.values(copies.observations())
    advantage = torch.zeros_like(following)
    advantages = []
    for reward, value, end in zip(reversed(rewards), reversed(values), reversed(ends), strict=True):
        going_on = 1 - end
        delta = reward + discount * going_on * following - value
        advantage = delta + discount * trace * going_on * advantage
        advantages.append(advantage)
        following = value
    stacked = torch.cat(advantages[::-1], dim=1)
    return Segment(torch.cat(seen, dim=1), torch.cat(taken, dim=1), stacked, stacked + torch.cat(values, dim=1))
