"""A plain multilayer perceptron: no convolution, no norm, torch's default initialisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import LEARNERS, Architecture


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    features, layers = math.prod(image_shape), list[nn.Module]()
    for _ in range(form.depth):
        layers += form.plain_linear(features, form.widths[0])
        features = form.widths[0]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(features, classes))


@LEARNERS.register("mlp")
def mlp() -> Architecture:
    """Two hidden layers of 128 units with ReLU, like the distillation literature's MLP."""
    return Architecture(
        _build, Form((128,), depth=2, norm="none", activation="relu"), random_widths=((64, 512),), depths=(1, 6)
    )
