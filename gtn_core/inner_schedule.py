"""The inner schedule: a learning rate and a momentum for each inner step, meta-learned as log and logit."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAX_MOMENTUM = 0.99
"""Default upper bound on the momenta."""


class Schedule(nn.Module):
    """Learning rate and momentum of each inner step, meta-learned as a logarithm and a bounded logit.

    Args:
        steps: T.
        lr: Initial learning rate, positive.
        momentum: Initial momentum (beta1 for Adam), in ``(0, max_momentum)``.
        max_momentum: Upper bound that no meta-update can cross; below 1, at which momentum would never forget.
        learned: Whether the schedule is meta-learned, or stays at its initial values.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, steps: int, lr: float, momentum: float, *, max_momentum: float = MAX_MOMENTUM, learned: bool = True
    ) -> None:
        super().__init__()
        if not (lr > 0 and 0 < momentum < max_momentum < 1):
            raise ValueError(f"expected lr > 0 and 0 < momentum < {max_momentum}, got lr={lr}, momentum={momentum}")
        share = momentum / max_momentum
        self.max_momentum = max_momentum
        self.log_lr = nn.Parameter(torch.full((steps,), math.log(lr)), requires_grad=learned)
        self.logit_momentum = nn.Parameter(torch.full((steps,), math.log(share / (1 - share))), requires_grad=learned)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Returns the learning rates and momenta, each of shape ``(T,)``."""
        return self.log_lr.exp(), self.max_momentum * self.logit_momentum.sigmoid()
