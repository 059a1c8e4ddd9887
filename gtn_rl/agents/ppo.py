"""Proximal policy optimisation (PPO; Schulman et al., 2017), as in Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from gtn_rl.agents.actor import ActorCritic, ActorCritics
from gtn_rl.agents.clipping import clip_members
from gtn_rl.agents.on_policy import collect
from gtn_rl.agents.protocol import AGENTS, Policies, log_uniform
from gtn_rl.models.variants import Copies, Variants
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class PPO:
    """A PPO agent; the defaults are Stable-Baselines3's at 10,240 environment steps.

    The usual 2048 steps of one copy are spread over many copies: a learned environment's episodes are short and
    independent of each other, and a population's copies are stepped together.

    Attributes:
        rollouts: Number of rollouts.
        size: Steps per rollout, over all copies.
        longest: Maximum steps per rollout of one copy.
        epochs: Passes over each rollout.
        batch_size: Steps per gradient step.
        lr: Learning rate of Adam.
        hidden: Hidden widths of actor and critic.
        discount: Discount factor.
        trace: Lambda of the advantage estimates.
        clip_ratio: Clipping range of the probability ratio.
        value_weight: Weight of the critic's squared error.
        clip: Maximum gradient norm.
    """

    rollouts: int = 5
    size: int = 2048
    longest: int = 128
    epochs: int = 10
    batch_size: int = 64
    lr: float = 3e-4
    hidden: tuple[int, ...] = (64, 64)
    discount: float = 0.99
    trace: float = 0.95
    clip_ratio: float = 0.2
    value_weight: float = 0.5
    clip: float = 0.5

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        networks = ActorCritic.build(variants.spec, self.hidden)
        phi = variants.members(networks.initial, generator)
        optimizer = torch.optim.Adam([phi], lr=self.lr, eps=1e-5, fused=True)
        steps = min(variants.max_episode_steps, self.longest, self.size)
        copies = variants.copies(max(1, self.size // steps), generator)
        for _ in range(self.rollouts):
            rollout = self._rollout(networks.of(phi.detach()), copies, steps, generator)
            for _ in range(self.epochs):
                order = torch.randperm(rollout.advantages.shape[1], generator=generator).to(phi.device)
                for chosen in order.split(self.batch_size):
                    (gradient,) = torch.autograd.grad(self._loss(networks.of(phi), rollout, chosen), phi)
                    phi.grad = clip_members(gradient, self.clip)
                    optimizer.step()
        return networks.policies(phi.detach())

    @torch.no_grad()
    def _rollout(self, agents: ActorCritics, copies: Copies, steps: int, generator: torch.Generator) -> _Rollout:
        part = collect(agents, copies, steps, generator, discount=self.discount)
        before, values = agents.evaluate(part.observations, part.actions)
        advantages = part.advantages(values, self.trace)
        return _Rollout(part.observations, part.actions, before, advantages, advantages + values)

    def _loss(self, agents: ActorCritics, rollout: _Rollout, chosen: Tensor) -> Tensor:
        part = rollout.at(chosen)
        advantages = part.advantages
        if len(chosen) > 1:
            spread = advantages.std(dim=1, keepdim=True)
            advantages = (advantages - advantages.mean(dim=1, keepdim=True)) / (spread + 1e-8)
        log_probability, values = agents.evaluate(part.observations, part.actions)
        ratio = (log_probability - part.log_probability).exp()
        clipped = ratio.clamp(1 - self.clip_ratio, 1 + self.clip_ratio)
        gain = torch.minimum(ratio * advantages, clipped * advantages)
        error = (part.returns - values).square()
        return (self.value_weight * error - gain).mean(dim=1).sum()


@dataclass(frozen=True)
class _Rollout:
    """The experience that P agents learn from, n entries each.

    Attributes:
        observations: ``(P, n, d)``.
        actions: ``(P, n)`` or ``(P, n, m)``, unclipped.
        log_probability: Log probabilities of these actions before any update, ``(P, n)``.
        advantages: ``(P, n)``.
        returns: Targets of the critic, ``(P, n)``.
    """

    observations: Tensor
    actions: Tensor
    log_probability: Tensor
    advantages: Tensor
    returns: Tensor

    def at(self, chosen: Tensor) -> _Rollout:
        """Returns the entries at indices ``chosen``, ``(k,)``."""
        return _Rollout(*(getattr(self, part.name)[:, chosen] for part in fields(self)))


class PPOFamily:
    """Draws PPO agents with fewer gradient steps and mostly higher learning rates; the slowest hardly learn."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> PPO:
        """See ``AgentFamily.draw``."""
        width = int(random.choice([32, 64]))
        return PPO(
            rollouts=int(random.integers(3, 6)),
            size=512,
            epochs=int(random.integers(3, 7)),
            batch_size=int(random.choice([32, 64, 128])),
            lr=log_uniform(random, 3e-4, 1e-2),
            hidden=(width,) * int(random.integers(1, 3)),
        )

    def usual(self, spec: TaskSpec) -> PPO:
        """See ``AgentFamily.usual``."""
        return PPO()

    def fits(self, spec: TaskSpec) -> bool:
        """See ``AgentFamily.fits``."""
        return True


AGENTS.register("ppo")(PPOFamily())
