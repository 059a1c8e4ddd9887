"""LeNet-5 (LeCun et al., *Gradient-Based Learning Applied to Document Recognition*, 1998) with tanh and average pooling."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import LEARNERS, Architecture


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    channels, *sides = image_shape
    conv1, conv2, fc1, fc2 = form.widths
    first = 2 if min(sides) < 32 else 0  # the original pads its 28x28 digits to 32x32
    second = 2 if min(sides) < 12 else 0  # the smallest images have no border to lose
    rows, columns = (((side + 2 * first - 4) // 2 + 2 * second - 4) // 2 for side in sides)
    return nn.Sequential(
        *form.plain_conv(channels, conv1, 5, padding=first),
        nn.AvgPool2d(2),
        *form.plain_conv(conv1, conv2, 5, padding=second),
        nn.AvgPool2d(2),
        nn.Flatten(),
        *form.plain_linear(conv2 * rows * columns, fc1),
        *form.plain_linear(fc1, fc2),
        nn.Linear(fc2, classes),
    )


@LEARNERS.register("lenet")
def lenet() -> Architecture:
    """6 and 16 feature maps, 120 and 84 hidden units, no norm."""
    return Architecture(
        _build,
        Form((6, 16, 120, 84), norm="none", activation="tanh"),
        random_widths=((4, 16), (8, 32), (60, 180), (42, 126)),
        least_side=lambda form: 4,
    )
