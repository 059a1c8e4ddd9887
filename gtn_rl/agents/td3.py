"""TD3 (Fujimoto et al., ICML 2018) for continuous actions: a deterministic actor with twin critics, trained for less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl.agents.protocol import AGENTS, Policies, log_uniform
from gtn_rl.agents.replay import Replay
from gtn_rl.models.networks import MLP, Network, off_policy
from gtn_rl.models.variants import Copies, Variants
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class TD3:
    """A TD3 agent.

    Stable-Baselines3 takes a gradient step of batch size 256 at widths 400 and 300 after every environment step; a
    population cannot afford that, so the usual agent here is narrower, moves its targets a little faster, and takes
    more environment steps between updates.

    Attributes:
        updates: Gradient steps of the critics.
        lr: Learning rate of Adam.
        hidden: Hidden widths of actor and critics.
        steps: Environment steps between two updates.
        warm_up: Uniformly random environment steps before the first update.
        batch_size: Transitions per update.
        discount: Discount factor.
        noise: Standard deviation of the exploration noise.
        actor_every: Updates of the critics per update of the actor.
        tau: Share of the new parameters that the targets take at each update of the actor (Polyak averaging).
        target_noise: Standard deviation of the noise on the target action, clipped at twice that.
    """

    updates: int = 1500
    lr: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    steps: int = 4
    warm_up: int = 200
    batch_size: int = 64
    discount: float = 0.99
    noise: float = 0.1
    actor_every: int = 2
    tau: float = 0.01
    target_noise: float = 0.2

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        spec = variants.spec
        actor = off_policy(spec.observation_size, spec.action_size, self.hidden)
        critic = off_policy(spec.observation_size + spec.action_size, 1, self.hidden)

        def start(network: MLP) -> Tensor:
            return variants.members(network.initial, generator)

        phi, twins = start(actor), [start(critic), start(critic)]
        targets = [p.detach().clone() for p in (phi, *twins)]
        act, target_act = actor.of(phi.detach()), actor.of(targets[0])
        first, target_critics = critic.of(twins[0].detach()), [critic.of(target) for target in targets[1:]]
        of_actor = torch.optim.Adam([phi], lr=self.lr, fused=True)
        of_critics = torch.optim.Adam(twins, lr=self.lr, fused=True)
        copies = variants.copies(self.steps, generator)
        replay = Replay(variants, copies, self.warm_up + self.updates * self.steps + self.steps)
        while replay.count < self.warm_up:
            uniform = 2 * torch.rand(copies.count, spec.action_size, generator=generator).to(phi) - 1
            replay.add(uniform.expand(variants.size, -1, -1))
        for update in range(self.updates):
            self._explore(act, copies, replay, generator)
            chosen = torch.randint(replay.count, (self.batch_size,), generator=generator).to(phi.device)
            wanted = self._wanted(target_act, target_critics, replay, chosen, generator)
            both = torch.cat([replay.observations[:, chosen], replay.actions[:, chosen]], dim=2)
            errors = [(critic(twin, both).squeeze(2) - wanted).square().mean(dim=1) for twin in twins]
            loss = torch.stack(errors).sum()
            twins[0].grad, twins[1].grad = torch.autograd.grad(loss, twins)
            of_critics.step()
            if update % self.actor_every:
                continue
            seen = replay.observations[:, chosen]
            value = first(torch.cat([seen, actor(phi, seen).tanh()], dim=2))
            (phi.grad,) = torch.autograd.grad(-value.mean(dim=(1, 2)).sum(), phi)
            of_actor.step()
            for target, new in zip(targets, (phi, *twins), strict=True):
                target.lerp_(new.detach(), self.tau)
        return Policies(spec, lambda observations: act(observations).tanh())

    @torch.no_grad()
    def _explore(self, act: Network, copies: Copies, replay: Replay, generator: torch.Generator) -> None:
        actions = act(copies.observations()).tanh()
        noise = torch.randn(actions.shape[1:], generator=generator).to(actions)
        replay.add((actions + self.noise * noise).clamp(-1, 1))

    @torch.no_grad()
    def _wanted(
        self, act: Network, critics: Sequence[Network], replay: Replay, chosen: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Returns the critics' targets, from the target networks, ``(P, n)``, bootstrapped beyond a time limit."""
        rewards = replay.rewards[:, chosen]
        if replay.bandit:
            return rewards
        after = replay.following[:, chosen]
        actions = act(after).tanh()
        noise = self.target_noise * torch.randn(actions.shape[1:], generator=generator).to(after)
        bound = 2 * self.target_noise
        both = torch.cat([after, (actions + noise.clamp(-bound, bound)).clamp(-1, 1)], dim=2)
        least = torch.minimum(*(critic(both) for critic in critics)).squeeze(2)
        return rewards + self.discount * replay.going_on[:, chosen] * least


class TD3Family:
    """Draws TD3 agents with higher learning rates and fewer updates than the usual one."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> TD3:
        """See ``AgentFamily.draw``."""
        return TD3(
            updates=int(random.integers(200, 400)),
            lr=log_uniform(random, 2e-3, 1e-2),
            hidden=(int(random.choice([32, 64])),) * int(random.integers(1, 3)),
            batch_size=int(random.choice([32, 64])),
            noise=float(random.choice([0.1, 0.2])),
            discount=float(random.choice([0.9, 0.99])),
        )

    def usual(self, spec: TaskSpec) -> TD3:
        """See ``AgentFamily.usual``."""
        return TD3()

    def fits(self, spec: TaskSpec) -> bool:
        """See ``AgentFamily.fits``."""
        return not spec.discrete


AGENTS.register("td3")(TD3Family())
