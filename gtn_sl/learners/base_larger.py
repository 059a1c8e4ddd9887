"""The original's larger learners: strided convolutions, some 1x1, then global pooling or a hidden linear layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from gtn_core.layers import WeightNormLinear
from gtn_sl.learners.form import Form, GlobalAverage
from gtn_sl.learners.registry import LEARNERS, Architecture

Plan = Sequence[tuple[int, int, int]]
"""``(index of the width, kernel size, stride)`` of each convolution."""

LARGER2: Plan = ((0, 3, 1), (1, 3, 2), (1, 3, 1), (2, 3, 2), (2, 3, 1))
LARGER3: Plan = ((0, 3, 1), (0, 1, 1), (1, 3, 2), (1, 1, 1), (2, 3, 2), (2, 1, 1))
LARGER4: Plan = (*LARGER3[:4], (1, 1, 1), *LARGER3[4:], (2, 1, 1))
"""Like ``LARGER3``, with another 1x1 convolution at the second and the third width."""

_WIDTHS = ((32, 128), (64, 256), (64, 512))  # the original's range of each width


def _convolutions(channels: int, form: Form, plan: Plan) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index, kernel_size, stride in plan:
        layers += form.conv(channels, form.widths[index], kernel_size, stride)
        channels = form.widths[index]
    return layers


def _pooling(image_shape: Sequence[int], classes: int, form: Form, plan: Plan) -> nn.Module:
    features = _convolutions(image_shape[0], form, plan)
    return nn.Sequential(*features, GlobalAverage(), WeightNormLinear(form.widths[2], classes))


def _hidden(image_shape: Sequence[int], classes: int, form: Form, plan: Plan) -> nn.Module:
    channels, height, width = image_shape
    positions = -(-height // 4) * -(-width // 4)
    return nn.Sequential(
        *_convolutions(channels, form, plan),
        nn.Flatten(),
        *form.linear(form.widths[2] * positions, form.widths[3]),
        WeightNormLinear(form.widths[3], classes),
    )


def _family(plan: Plan, norm: str, *, hidden: bool) -> Callable[[], Architecture]:
    build, form = (_hidden if hidden else _pooling), Form((64, 128, 256), norm=norm)
    pooled = Architecture(lambda shape, classes, form: build(shape, classes, form, plan), form, _WIDTHS)
    with_hidden = replace(pooled, form=replace(form, widths=(*form.widths, 256)), random_widths=(*_WIDTHS, (64, 512)))
    return lambda: with_hidden if hidden else pooled


LEARNERS.register("base_larger2")(_family(LARGER2, "mean-only", hidden=False))
LEARNERS.register("base_larger3")(_family(LARGER3, "mean-only", hidden=True))
LEARNERS.register("base_larger3_global_pooling")(_family(LARGER3, "mean-only", hidden=False))
LEARNERS.register("base_larger4")(_family(LARGER4, "batch", hidden=True))
LEARNERS.register("base_larger4_global_pooling")(_family(LARGER4, "batch", hidden=False))
