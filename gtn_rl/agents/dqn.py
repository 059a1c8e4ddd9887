"""Deep Q-learning (DQN; Mnih et al., Nature 2015) for discrete actions, as in Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_rl.agents.clipping import clip_members
from gtn_rl.agents.protocol import AGENTS, Policies, log_uniform
from gtn_rl.agents.replay import Replay
from gtn_rl.models.networks import Network, off_policy
from gtn_rl.models.variants import Copies, Variants
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class DQN:
    """A DQN agent; the defaults are Stable-Baselines3's at 10,000 environment steps.

    Attributes:
        updates: Number of gradient steps.
        lr: Learning rate of Adam.
        hidden: Hidden widths of the Q network.
        steps: Environment steps between two updates.
        warm_up: Random environment steps before the first update.
        batch_size: Transitions per update.
        discount: Discount factor.
        target_every: Updates between two copies of the network to its target.
        exploring: Share of the training over which epsilon falls from 1 to ``least_epsilon``.
        least_epsilon: Final epsilon.
        clip: Maximum gradient norm.
    """

    updates: int = 2475
    lr: float = 1e-4
    hidden: tuple[int, ...] = (64, 64)
    steps: int = 4
    warm_up: int = 100
    batch_size: int = 32
    discount: float = 0.99
    target_every: int = 2500
    exploring: float = 0.1
    least_epsilon: float = 0.05
    clip: float = 10.0

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        network = off_policy(variants.spec.observation_size, variants.spec.action_size, self.hidden)
        phi = variants.members(network.initial, generator)
        policies = Policies(variants.spec, network.of(phi.detach()))
        target = network.of(phi.detach().clone())
        optimizer = torch.optim.Adam([phi], lr=self.lr, fused=True)
        copies = variants.copies(self.steps, generator)
        replay = Replay(variants, copies, self.warm_up + self.updates * self.steps + self.steps)
        while replay.count < self.warm_up:
            replay.add(self._explore(policies, copies, 1.0, generator))
        for update in range(self.updates):
            done = update / max(1.0, self.exploring * self.updates)
            epsilon = max(self.least_epsilon, 1 - done * (1 - self.least_epsilon))
            replay.add(self._explore(policies, copies, epsilon, generator))
            chosen = torch.randint(replay.count, (self.batch_size,), generator=generator).to(phi.device)
            wanted = self._wanted(target, replay, chosen)
            values = network(phi, replay.observations[:, chosen])
            taken = values.gather(2, replay.actions[:, chosen].unsqueeze(2)).squeeze(2)
            loss = F.smooth_l1_loss(taken, wanted, reduction="none").mean(dim=1).sum()
            (gradient,) = torch.autograd.grad(loss, phi)
            phi.grad = clip_members(gradient, self.clip)
            optimizer.step()
            if (update + 1) % self.target_every == 0:
                target = network.of(phi.detach().clone())
        return policies

    @torch.no_grad()
    def _explore(self, policies: Policies, copies: Copies, epsilon: float, generator: torch.Generator) -> Tensor:
        """Returns epsilon-greedy actions, ``(P, E)``; all members explore in the same copies, with the same actions."""
        observations = copies.observations()
        random = torch.randint(policies.spec.action_size, (copies.count,), generator=generator)
        exploring = torch.rand(copies.count, generator=generator) < epsilon
        if exploring.all():
            return random.to(observations.device).expand(len(observations), -1)
        greedy = policies.act(observations)
        return torch.where(exploring.to(greedy.device), random.to(greedy.device), greedy)

    @torch.no_grad()
    def _wanted(self, target: Network, replay: Replay, chosen: Tensor) -> Tensor:
        """Returns the targets of Q, ``(P, n)``, bootstrapped beyond a time limit, as in Stable-Baselines3."""
        rewards = replay.rewards[:, chosen]
        if replay.bandit:
            return rewards
        beyond = target(replay.following[:, chosen]).amax(dim=2)
        return rewards + self.discount * replay.going_on[:, chosen] * beyond


class DQNFamily:
    """Draws DQN agents with fewer gradient steps and higher learning rates than usual; the slowest hardly learn."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> DQN:
        """See ``AgentFamily.draw``."""
        width = int(random.choice([32, 64]))
        updates = int(random.integers(200, 400))
        return DQN(
            updates=updates,
            lr=log_uniform(random, 3e-4, 1e-2),
            hidden=(width,) * int(random.integers(1, 3)),
            steps=int(random.choice([4, 8])),
            batch_size=int(random.choice([32, 64])),
            target_every=int(random.choice([50, 100, updates + 1])),
            discount=float(random.choice([0.9, 0.99])),
        )

    def usual(self, spec: TaskSpec) -> DQN:
        """See ``AgentFamily.usual``."""
        return DQN()

    def fits(self, spec: TaskSpec) -> bool:
        """See ``AgentFamily.fits``."""
        return spec.discrete


AGENTS.register("dqn")(DQNFamily())
