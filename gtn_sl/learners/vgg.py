"""A small network after VGG (Simonyan and Zisserman, ICLR 2015): pairs of 3x3 convolutions, max-pooling, a hidden layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import LEARNERS, Architecture


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    channels, height, width = image_shape
    *convolutions, hidden = form.widths
    layers: list[nn.Module] = []
    for size in convolutions:
        layers += [*form.plain_conv(channels, size, 3), *form.plain_conv(size, size, 3), nn.MaxPool2d(2)]
        channels = size
    features = channels * (height // 8) * (width // 8)
    return nn.Sequential(*layers, nn.Flatten(), *form.plain_linear(features, hidden), nn.Linear(hidden, classes))


@LEARNERS.register("vgg")
def vgg() -> Architecture:
    """Three stages of 32, 64 and 128 channels, batch norm, 128 hidden units."""
    return Architecture(
        _build,
        Form((32, 64, 128, 128), norm="batch", activation="relu"),
        random_widths=((16, 64), (32, 128), (64, 256), (64, 256)),
        least_side=lambda form: 8,
    )
