"""What all learned variants share: a reward network each, the rewards it gives, and the randomness of their agents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import gymnasium as gym
import torch
from gymnasium import spaces
from torch import Tensor

from gtn_envs import Weights, make_weights
from gtn_rl.models.networks import Layers, forward
from gtn_rl.models.variants import Copies
from gtn_rl.tasks.actions import with_actions
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True, kw_only=True)
class LearnedVariants(ABC):
    """P variants with a learned reward, on normalised states x = (s - mean) / std; see ``Variants``.

    Attributes:
        spec: The real task.
        mean: Mean of the observations, ``(d,)``.
        std: Standard deviation of the observations, ``(d,)``.
        reward: Reward network; it gives the reward of every discrete action, the preferred continuous action before its
            hyperbolic tangent, or a potential. If ``reward_reads_action``, it gives the reward of the action that it reads.
        scale: Factor on the reward or potential, ``(P, 1, 1)``.
        max_episode_steps: L, the time limit; 1 for a bandit.
        activation: Activation of every network, ``tanh`` or ``relu``.
        regret: Whether a discrete action's reward is relative to the best action's.
        reward_reads_action: Whether the reward network reads the action, so that no action is known to be the best.
        agents: Number of different agents; variant p trains agent ``p % agents``. Variants with the same agent share
            its randomness, so that candidates can be compared. See ``Variants.draw``.
    """

    spec: TaskSpec
    mean: Tensor
    std: Tensor
    reward: Layers
    scale: Tensor
    max_episode_steps: int
    activation: str = "tanh"
    regret: bool = False
    reward_reads_action: bool = False
    agents: int = 1

    @property
    def size(self) -> int:
        """P, the number of variants."""
        return len(self.scale)

    @property
    @abstractmethod
    def bandit(self) -> bool:
        """See ``Variants.bandit``."""

    @property
    @abstractmethod
    def real_steps(self) -> int:
        """See ``Variants.real_steps``."""

    @abstractmethod
    def copies(self, count: int, generator: torch.Generator, *, stagger: bool = False) -> Copies:
        """See ``Variants.copies``."""

    @abstractmethod
    def env(self, member: int) -> gym.Env[Any, Any]:
        """See ``Variants.env``."""

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """Returns the fields of a ``gtn_envs`` header that describe the computation; the caller adds the spaces."""

    def draw(self, sample: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """See ``Variants.draw``: one draw per agent."""
        drawn = torch.stack([sample(generator) for _ in range(self.agents)]).to(self.mean.device)
        return drawn.repeat(self.size // self.agents, *[1] * (drawn.dim() - 1))

    def members(self, initial: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """See ``Variants.members``."""
        return self.draw(initial, generator).to(self.mean, copy=True).requires_grad_()

    def observe(self, x: Tensor) -> Tensor:
        """Returns the observations, in the task's own units, of normalised states x; both ``(P, n, d)``."""
        return self.mean + self.std * x

    def table(self, x: Tensor) -> Tensor:
        """Returns the reward of every discrete action, ``(P, n, m)``, or a potential, ``(P, n, 1)``."""
        table = self.scale * forward(self.reward, x, self.activation)
        return table - table.amax(dim=2, keepdim=True) if self.regret else table

    def targets(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Returns the normalised continuous actions that the reward prefers, ``(P, n, m)``.

        Args:
            x: Normalised contexts, ``(P, n, d)``.
            gain: Factor on the network's outputs before the hyperbolic tangent; below 1 the policy is smoother.
        """
        return (gain * forward(self.reward, x, self.activation)).tanh()

    def rewards(self, x: Tensor, actions: Tensor) -> Tensor:
        """Returns the rewards ``(P, n)`` of discrete actions ``(P, n)``, or of normalised actions ``(P, n, m)``."""
        if self.reward_reads_action:
            return (self.scale * forward(self.reward, with_actions(self.spec, x, actions), self.activation)).squeeze(2)
        if self.spec.discrete:
            return self.table(x).gather(2, actions.unsqueeze(2)).squeeze(2)
        return -self.scale.squeeze(2) * (actions - self.targets(x)).square().sum(dim=2)

    def tensors(self, member: int) -> dict[str, Tensor]:
        """Returns one variant's tensors as a ``gtn_envs`` file holds them."""
        tensors = {"observation.mean": self.mean, "observation.std": self.std, "reward.scale": self.scale[member, 0, 0]}
        tensors |= network_tensors("reward", self.reward, member)
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def weights(self, member: int) -> Weights:
        """Returns the content of such a file, in memory, with flat observations and discrete actions from 0."""
        spec = self.spec
        seen = spaces.Box(spec.observation_low, spec.observation_high)
        does = spaces.Discrete(spec.action_size) if spec.discrete else spaces.Box(spec.action_low, spec.action_high)
        tensors = {name: tensor.cpu().numpy() for name, tensor in self.tensors(member).items()}
        return make_weights(tensors, {**self.document(), "observation_space": seen, "action_space": does})


Some = TypeVar("Some", bound=LearnedVariants)


def network_tensors(name: str, layers: Layers, member: int) -> dict[str, Tensor]:
    """Returns the tensors of one variant's network by their names in a file."""
    tensors: dict[str, Tensor] = {}
    for i, (weight, bias) in enumerate(layers):
        tensors |= {f"{name}.{i}.weight": weight[member], f"{name}.{i}.bias": bias[member, 0]}
    return tensors


def normalised(variants: Some, log_scale: Tensor, x: Tensor) -> Some:
    """Gives per-action rewards mean 0 over actions, and standard deviation ``exp(log_scale)`` over states and actions.

    An agent's advantages then have that scale whatever the network's weights are. A continuous reward is a distance and
    only gets the scale.

    Args:
        variants: The variants; their ``scale`` is ignored.
        log_scale: ``(P,)``.
        x: States to normalise on, ``(P, n, d)``.
    """
    scale = log_scale.exp().view(-1, 1, 1)
    reward = variants.reward
    if variants.spec.discrete:
        weight, bias = reward[-1]
        reward = [*reward[:-1], (weight - weight.mean(2, keepdim=True), bias - bias.mean(2, keepdim=True))]
        scale = scale / root_mean_square(forward(reward, x, variants.activation))
    return replace(variants, reward=reward, scale=scale)


def root_mean_square(outputs: Tensor) -> Tensor:
    """Returns the root mean square of each network's outputs ``(P, n, m)``, at least 1e-6, ``(P, 1, 1)``."""
    return outputs.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-6)
