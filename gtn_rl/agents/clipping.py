"""Gradient clipping for many agents at once, each by its own norm."""

from __future__ import annotations

import torch
from torch import Tensor


def clip_members(gradient: Tensor, largest: float) -> Tensor:
    """Scales down, in place, the gradient of each member in ``(P, D)`` whose norm exceeds ``largest``."""
    norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return gradient.mul_((largest / (norm + 1e-6)).clamp_(max=1))
