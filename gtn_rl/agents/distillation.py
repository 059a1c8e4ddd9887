"""The cheapest agents that learn: small perceptrons regressed on a reward's preferences over all actions at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gtn_rl.agents import Policies
from gtn_rl.agents.protocol import log_uniform
from gtn_rl.models.environment import Model
from gtn_rl.models.networks import MLP, actor_critic, off_policy
from gtn_rl.models.variants import Variants
from gtn_rl.tasks.actions import normalise
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class Student:
    """A perceptron that sees the reward of every action in a context, where an agent sees that of one.

    It follows the all-action policy gradient of a bandit (Sutton et al., *Comparing Policy-Gradient Algorithms*, 2001),
    which is regression if the reward is a distance to an action; a ``critic`` of discrete actions regresses the
    rewards. If students do not learn a reward's greedy policy in a few updates, no agent will learn it in a few
    thousand steps.

    Attributes:
        kind: ``actor`` is initialised like the actor of PPO and A2C, ``critic`` like the networks of DQN and TD3.
        updates: Number of gradient steps.
        lr: Learning rate of Adam.
        hidden: Hidden widths.
        batch_size: Contexts per gradient step.
        noise: Standard deviation of noise on the continuous actions to learn, like that of an agent that tries one
            action at a time.
    """

    kind: Literal["actor", "critic"] = "actor"
    updates: int = 150
    lr: float = 3e-3
    hidden: tuple[int, ...] = (64, 64)
    batch_size: int = 64
    noise: float = 0.0

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """See ``InnerAgent.train``."""
        assert isinstance(variants, Model)
        network = self._network(variants.spec)
        phi = variants.members(network.initial, generator)
        optimizer = torch.optim.Adam([phi], lr=self.lr, fused=True)
        for _ in range(self.updates):
            x = variants.initial(self.batch_size, generator)
            outputs = self._outputs(variants.spec, network(phi, variants.observe(x)))
            loss = self._loss(variants, x, outputs, generator)
            (phi.grad,) = torch.autograd.grad(loss.mean(dim=1).sum(), phi)
            optimizer.step()
        trained = phi.detach()
        return Policies(variants.spec, lambda seen: self._outputs(variants.spec, network(trained, seen)))

    def _network(self, spec: TaskSpec) -> MLP:
        d, m = spec.observation_size, spec.action_size
        if self.kind == "actor":
            return actor_critic(d, m, self.hidden, "tanh", 0.01)
        return off_policy(d, m, self.hidden)

    def _outputs(self, spec: TaskSpec, raw: Tensor) -> Tensor:
        """Returns preferences or normalised actions: a Gaussian actor's are in the task's units, others are bounded."""
        if spec.discrete:
            return raw
        return normalise(spec, raw) if self.kind == "actor" else raw.tanh()

    def _loss(self, variants: Model, x: Tensor, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Returns the loss, ``(P, n)``, in contexts x, ``(P, n, d)``."""
        if not variants.spec.discrete:
            noise = self.noise * torch.randn(outputs.shape[1:], generator=generator).to(outputs)
            return (outputs - variants.targets(x) - noise).square().sum(dim=2)
        table = variants.table(x)
        if self.kind == "actor":
            return -(outputs.softmax(dim=2) * table).sum(dim=2)
        return (outputs - table).square().sum(dim=2)


def draw_student(random: np.random.Generator, progress: float) -> Student:
    """Draws a student at random, so that a reward serves more than one.

    Args:
        random: Draws the hyper-parameters.
        progress: Progress of the stage, from 0 to 1. The students' noise grows with it: with much noise at the start,
            all candidates fail alike.
    """
    width = int(random.choice([32, 64]))
    return Student(
        kind="actor" if random.random() < 0.6 else "critic",
        updates=int(random.integers(150, 250)),
        lr=log_uniform(random, 2e-3, 5e-3),
        hidden=(width, width),
        noise=progress * float(random.choice([0.0, 0.5, 1.0])),
    )
