"""The cosine that learning rates follow down."""

from __future__ import annotations

import math


def half_cosine(share: float) -> float:
    """Returns the factor on a rate after ``share`` of a training, from 1 at 0 to 0 at 1 (Loshchilov and Hutter, ICLR 2017)."""
    return 0.5 * (1 + math.cos(math.pi * share))
