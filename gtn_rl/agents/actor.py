"""The actor and critic of A2C and PPO: two perceptrons, with a categorical or Gaussian policy on top."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_rl.agents.protocol import Policies
from gtn_rl.models.networks import MLP, Network, actor_critic
from gtn_rl.tasks.actions import normalise
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class ActorCritic:
    """The networks of an on-policy agent, with parameters in a flat vector.

    Initial weights are Stable-Baselines3's: orthogonal, with gain 0.01 for the actor's head. A Gaussian policy has a
    learned log standard deviation that does not depend on the state, and acts in the task's own units, clipped by the
    environment.

    Attributes:
        spec: The task.
        actor: ``d -> m``.
        critic: ``d -> 1``.
    """

    spec: TaskSpec
    actor: MLP
    critic: MLP

    @classmethod
    def build(cls, spec: TaskSpec, hidden: tuple[int, ...]) -> ActorCritic:
        """Returns networks with the given hidden widths."""
        d, m = spec.observation_size, spec.action_size
        return cls(spec, actor_critic(d, m, hidden, "tanh", 0.01), actor_critic(d, 1, hidden, "tanh", 1.0))

    def initial(self, generator: torch.Generator) -> Tensor:
        """Returns one agent's initial parameters, ``(D,)``: actor, critic and, for a Box, log standard deviation."""
        spread = torch.zeros(0 if self.spec.discrete else self.spec.action_size)
        return torch.cat([self.actor.initial(generator), self.critic.initial(generator), spread])

    def of(self, phi: Tensor) -> ActorCritics:
        """Returns the agents with parameters ``(P, D)``, which are split into layers once."""
        known = self.actor.parameters + self.critic.parameters
        lengths = [self.actor.parameters, self.critic.parameters, phi.shape[1] - known]
        actor, critic, log_spread = phi.split(lengths, dim=1)
        return ActorCritics(self.spec, self.actor.of(actor), self.critic.of(critic), log_spread.unsqueeze(1))

    def policies(self, phi: Tensor) -> Policies:
        """Returns the policies with parameters ``(P, D)``; they give logits, or normalised means."""
        agents = self.of(phi)

        def outputs(observations: Tensor) -> Tensor:
            raw = agents.outputs(observations)
            return raw if self.spec.discrete else normalise(self.spec, raw)

        return Policies(self.spec, outputs)


@dataclass(frozen=True)
class ActorCritics:
    """P agents that act and evaluate states.

    Attributes:
        spec: The task.
        actor: Maps ``(P, n, d)`` to ``(P, n, m)``, with each agent's own parameters.
        critic: Maps ``(P, n, d)`` to ``(P, n, 1)``, likewise.
        log_spread: Log standard deviation of a Gaussian policy, ``(P, 1, m)``; ``(P, 1, 0)`` for discrete actions.
    """

    spec: TaskSpec
    actor: Network
    critic: Network
    log_spread: Tensor

    def outputs(self, observations: Tensor) -> Tensor:
        """Returns logits or means, ``(P, n, m)``."""
        return self.actor(observations)

    def values(self, observations: Tensor) -> Tensor:
        """Returns the critic's values, ``(P, n)``."""
        return self.critic(observations).squeeze(2)

    def sample(self, observations: Tensor, generator: torch.Generator, *, alike: bool = True) -> Tensor:
        """Draws actions, ``(P, n)`` or unclipped ``(P, n, m)``; with ``alike``, all members share the noise."""
        outputs = self.outputs(observations)
        shape = outputs.shape[1:] if alike else outputs.shape
        if self.spec.discrete:  # the Gumbel-max trick
            noise = torch.rand(shape, generator=generator).clamp(1e-9, 1 - 1e-7)
            return (outputs - (-noise.log()).log().to(outputs)).argmax(dim=2)
        noise = torch.randn(shape, generator=generator)
        return outputs + self.log_spread.exp() * noise.to(outputs)

    def environment_actions(self, actions: Tensor) -> Tensor:
        """Returns actions for a learned environment: continuous ones are normalised and clipped to [-1, 1]."""
        return actions if self.spec.discrete else normalise(self.spec, actions).clamp(-1, 1)

    def evaluate(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the log probabilities (densities) of actions and the values of states, each ``(P, n)``."""
        outputs, values = self.outputs(observations), self.values(observations)
        if self.spec.discrete:
            return F.log_softmax(outputs, dim=2).gather(2, actions.unsqueeze(2)).squeeze(2), values
        z = (actions - outputs) / self.log_spread.exp()
        return -(0.5 * z.square() + self.log_spread + 0.5 * math.log(2 * math.pi)).sum(dim=2), values
