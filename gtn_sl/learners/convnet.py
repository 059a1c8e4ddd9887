"""The distillation literature's ConvNet-3: 3 x [conv3x3 128, instance norm, ReLU, average pooling], linear."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import LEARNERS, Architecture


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    channels, width = image_shape[0], form.widths[0]
    multiple = 2**form.depth
    border = max(-(-(-side % multiple) // 2) for side in image_shape[1:])  # 28x28 becomes 32x32, as in the literature
    layers: list[nn.Module] = []
    for depth in range(form.depth):
        layers += [*_convolution(channels, width, 1 if depth else 1 + border, form), nn.AvgPool2d(2)]
        channels = width
    positions = [(side + 2 * border) // multiple for side in image_shape[1:]]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * positions[0] * positions[1], classes))


def _convolution(channels_in: int, channels_out: int, padding: int, form: Form) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, 3, padding=padding), *form.ending(channels_out)]


@LEARNERS.register("convnet")
def convnet() -> Architecture:
    """Three blocks of 128 channels, with torch's default initialisation."""
    return Architecture(
        _build,
        Form((128,), depth=3, norm="instance", activation="relu"),
        random_widths=((32, 256),),
        depths=(1, 6),
        least_side=lambda form: 2 ** (form.depth - 1) + 1,
    )
