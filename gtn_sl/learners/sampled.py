"""The original's ``sampled`` learners: a stem and two blocks of k operations, each drawn at random for each learner."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from gtn_core.layers import WeightNormLinear
from gtn_sl.learners.form import Form, GlobalAverage
from gtn_sl.learners.registry import LEARNERS, Architecture

MOST = 4
"""Maximum number of operations in a block: k = min(4, iteration // depth_schedule)."""

Operation = Callable[[Form, int], list[nn.Module]]

OPERATIONS: Mapping[str, Operation] = {
    "conv3": lambda form, width: form.conv(width, width, 3),
    "conv1": lambda form, width: form.conv(width, width, 1),
    "sep3": lambda form, width: form.separable_conv(width, width, 3),
    "sep1": lambda form, width: form.separable_conv(width, width, 1),
    "avg3": lambda form, width: [nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)],
    "max3": lambda form, width: [nn.MaxPool2d(3, stride=1, padding=1)],
}
SMOOTH = ("conv3", "conv1", "sep3", "sep1", "avg3")


def _build(image_shape: Sequence[int], classes: int, form: Form, smooth: bool) -> nn.Module:
    pooled = functools.partial(form.pooled_conv, gain=2.0) if smooth else form.maxpooled_conv  # as in ``base``
    names = SMOOTH if smooth else tuple(OPERATIONS)
    width = form.widths[0]
    layers = pooled(image_shape[0], width)
    for _ in range(2):
        layers += pooled(width, 2 * width)
        width *= 2
        for chosen in torch.randint(len(names), (form.depth,)).tolist():
            layers += OPERATIONS[names[chosen]](form, width)
    return nn.Sequential(*layers, GlobalAverage(), WeightNormLinear(width, classes))


def _family(smooth: bool, least_depth: int) -> Callable[[], Architecture]:
    return lambda: Architecture(
        lambda shape, classes, form: _build(shape, classes, form, smooth),
        Form((64,), depth=MOST),
        random_widths=((32, 128),),
        depths=(least_depth, MOST + 1),
        least_side=lambda form: 8 if smooth else 1,
        drawn=True,
    )


LEARNERS.register("sampled")(_family(smooth=True, least_depth=0))
LEARNERS.register("sampled4")(_family(smooth=True, least_depth=MOST))
LEARNERS.register("sampled_maxpool")(_family(smooth=False, least_depth=0))
LEARNERS.register("sampled4_maxpool")(_family(smooth=False, least_depth=MOST))
