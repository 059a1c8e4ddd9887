"""The original's ``linear``: two hidden layers, no convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from gtn_core.layers import WeightNormLinear
from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import LEARNERS, Architecture


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    first, second = form.widths
    return nn.Sequential(
        nn.Flatten(),
        *form.linear(math.prod(image_shape), first),
        *form.linear(first, second),
        WeightNormLinear(second, classes),
    )


@LEARNERS.register("linear")
def linear() -> Architecture:
    """Weight-normed hidden layers of 256 and 128 units."""
    return Architecture(_build, Form((256, 128)), random_widths=((64, 512), (32, 256)))
