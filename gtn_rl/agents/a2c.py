"""Synchronous advantage actor-critic (A2C; Mnih et al., ICML 2016), as in Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gtn_rl.agents.actor import ActorCritic
from gtn_rl.agents.clipping import clip_members
from gtn_rl.agents.on_policy import collect
from gtn_rl.agents.protocol import AGENTS, Policies, log_uniform
from gtn_rl.models.variants import Variants
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class A2C:
    """An A2C agent; the defaults are Stable-Baselines3's at 10,000 environment steps.

    Attributes:
        updates: Number of gradient steps.
        lr: Learning rate of RMSProp.
        hidden: Hidden widths of actor and critic.
        copies: Environments stepped together.
        steps: Steps per environment between two updates.
        discount: Discount factor.
        value_weight: Weight of the critic's squared error.
        clip: Maximum gradient norm.
    """

    updates: int = 2000
    lr: float = 7e-4
    hidden: tuple[int, ...] = (64, 64)
    copies: int = 1
    steps: int = 5
    discount: float = 0.99
    value_weight: float = 0.5
    clip: float = 0.5

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        networks = ActorCritic.build(variants.spec, self.hidden)
        phi = variants.members(networks.initial, generator)
        optimizer = torch.optim.RMSprop([phi], lr=self.lr, alpha=0.99, eps=1e-5)
        steps, count = self.steps, self.copies
        if variants.bandit:  # every step is an episode, so a segment's steps can be taken in parallel
            steps, count = 1, steps * count
        copies = variants.copies(count, generator, stagger=True)
        for _ in range(self.updates):
            part = collect(networks.of(phi.detach()), copies, steps, generator, discount=self.discount)
            log_probability, values = networks.of(phi).evaluate(part.observations, part.actions)
            advantages = part.advantages(values.detach(), trace=1.0)
            error = (advantages + values.detach() - values).square()  # (return - value) ** 2
            loss = (self.value_weight * error - advantages * log_probability).mean(dim=1).sum()
            (gradient,) = torch.autograd.grad(loss, phi)
            phi.grad = clip_members(gradient, self.clip)
            optimizer.step()
        return networks.policies(phi.detach())


class A2CFamily:
    """Draws A2C agents with fewer gradient steps than the usual one, and lower or higher learning rates."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> A2C:
        """See ``AgentFamily.draw``."""
        width = int(random.choice([32, 64]))
        return A2C(
            updates=int(random.integers(250, 450)),
            lr=log_uniform(random, 3e-4, 5e-3),
            hidden=(width,) * int(random.integers(1, 3)),
            copies=int(random.choice([1, 2, 4])),
            steps=int(random.choice([5, 8])),
        )

    def usual(self, spec: TaskSpec) -> A2C:
        """See ``AgentFamily.usual``."""
        return A2C()

    def fits(self, spec: TaskSpec) -> bool:
        """See ``AgentFamily.fits``."""
        return True


AGENTS.register("a2c")(A2CFamily())
