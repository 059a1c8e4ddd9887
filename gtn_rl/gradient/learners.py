"""The learners of an outer step: S actor-critics of one architecture, with their parameters in one flat vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl.agents.actor import ActorCritic, ActorCritics


@dataclass(frozen=True)
class Learners:
    """S learners whose parameters are concatenated in phi, shape ``(S * D,)``.

    Each learner's loss reads only its own part of phi, so the gradient of the summed loss gives each learner its own
    gradient, and one inner loop trains all of them.

    Attributes:
        networks: Their architecture.
        count: S, the number of learners.
    """

    networks: ActorCritic
    count: int

    def initial(self, generator: torch.Generator) -> Tensor:
        """Returns S independent draws of initial weights, shape ``(S * D,)``."""
        return torch.cat([self.networks.initial(generator) for _ in range(self.count)])

    def agents(self, phi: Tensor) -> ActorCritics:
        """Returns the learners with parameters phi, shape ``(S * D,)``."""
        return self.networks.of(phi.view(self.count, -1))


def draw_hidden(random: np.random.Generator) -> tuple[int, ...]:
    """Draws the hidden widths of a learner: one or two layers of 32 or 64."""
    return (int(random.choice([32, 64])),) * int(random.integers(1, 3))
