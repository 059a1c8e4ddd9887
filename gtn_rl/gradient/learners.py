"""The learners of an outer step: S actor-critics of one architecture, their parameters one flat vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl.agents.actor import ActorCritic, ActorCritics


@dataclass(frozen=True)
class Learners:
    """S learners whose parameters lie one after the other in phi, shape ``(S * D,)``.

    A learner's loss reads its own part of phi alone, so the gradient of the sum over learners is each one's own, and one inner
    loop trains all of them.

    Attributes:
        networks: Their architecture.
        count: S.
    """

    networks: ActorCritic
    count: int

    def initial(self, generator: torch.Generator) -> Tensor:
        """Returns S independent draws of initial weights, shape ``(S * D,)``."""
        return torch.cat([self.networks.initial(generator) for _ in range(self.count)])

    def agents(self, phi: Tensor) -> ActorCritics:
        """Returns the learners with parameters ``(S * D,)``."""
        return self.networks.of(phi.view(self.count, -1))


def draw_hidden(random: np.random.Generator) -> tuple[int, ...]:
    """Draws the widths of a learner's hidden layers: one or two of 32 or 64."""
    return (int(random.choice([32, 64])),) * int(random.integers(1, 3))
