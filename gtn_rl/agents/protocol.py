"""The protocol of inner agents, which train in P variants of an environment at once and return P policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gtn_core.registry import Registry
from gtn_rl.models.variants import Variants
from gtn_rl.tasks.actions import denormalise
from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class Policies:
    """P trained policies on observations in the task's own units.

    Attributes:
        spec: The task.
        outputs: Maps ``(P, n, d)`` to ``(P, n, m)``: a preference for each action, or a normalised action.
    """

    spec: TaskSpec
    outputs: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def act(self, observations: Tensor) -> Tensor:
        """Returns greedy actions for observations ``(P, n, d)``: ``(P, n)`` or, in the task's units, ``(P, n, m)``."""
        outputs = self.outputs(observations)
        return outputs.argmax(dim=2) if self.spec.discrete else denormalise(self.spec, outputs.clamp(-1, 1))


class InnerAgent(Protocol):
    """One learning algorithm with its hyper-parameters.

    To add one, write a frozen dataclass whose fields are the hyper-parameters, in a file of its own with its
    ``AgentFamily``.
    """

    def train(self, variants: Variants, generator: torch.Generator) -> Policies:
        """Trains one agent in each of P variants.

        Randomness goes through ``Variants.draw``, so that candidates can be compared.

        Args:
            variants: The environments.
            generator: Source of all randomness, on the CPU.

        Returns:
            The P trained policies.
        """


class AgentFamily(Protocol):
    """Makes the inner agents of one kind and knows which tasks they fit; registered in ``AGENTS``."""

    def draw(self, spec: TaskSpec, random: np.random.Generator) -> InnerAgent:
        """Returns an agent with newly drawn hyper-parameters, so that a teacher serves agents that it never saw."""

    def usual(self, spec: TaskSpec) -> InnerAgent:
        """Returns the agent with the hyper-parameters that users meet: Stable-Baselines3's defaults at 10,000 steps."""

    def fits(self, spec: TaskSpec) -> bool:
        """Returns whether the agents accept the task's actions."""


AGENTS: Registry[AgentFamily] = Registry("inner agent")


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """Draws a number log-uniformly from ``[low, high)``."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))
