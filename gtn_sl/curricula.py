"""Curricula: which noise the generator gets at which inner step, and whether that is learned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gtn_core.registry import Registry


class Curriculum(nn.Module):
    """Base of all curricula: T x B noise vectors, handed out a step at a time.

    Args:
        steps: T.
        batch_size: B.
        latent: Length of a noise vector.
    """

    def __init__(self, steps: int, batch_size: int, latent: int) -> None:
        super().__init__()
        self.steps, self.batch_size, self.latent = steps, batch_size, latent

    def forward(self, step: int) -> Tensor:
        """Returns the noise of one inner step, shape ``(B, latent)``."""
        if not 0 <= step < self.steps:
            raise IndexError(f"the curriculum has steps 0 to {self.steps - 1}, not {step}")
        return self._noise(step)

    def _noise(self, step: int) -> Tensor:
        raise NotImplementedError


CURRICULA: Registry[Callable[[int, int, int], Curriculum]] = Registry("curriculum")


@CURRICULA.register("full")
class FullCurriculum(Curriculum):
    """Every noise vector is learned, and keeps its place in the order (the paper's full curriculum)."""

    def __init__(self, steps: int, batch_size: int, latent: int) -> None:
        super().__init__(steps, batch_size, latent)
        self.noise = nn.Parameter(torch.randn(steps, batch_size, latent))

    def _noise(self, step: int) -> Tensor:
        return self.noise[step]
