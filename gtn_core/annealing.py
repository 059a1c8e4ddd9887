"""Cosine annealing of learning rates."""

from __future__ import annotations

import math


def half_cosine(share: float) -> float:
    """Returns the factor on a rate after a ``share`` of training, from 1 to 0 (Loshchilov and Hutter, ICLR 2017)."""
    return 0.5 * (1 + math.cos(math.pi * share))
