"""A small residual network as in He et al., *Deep Residual Learning* (CVPR 2016), section 4.2, for CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gtn_sl.learners.form import ACTIVATIONS, Form, GlobalAverage
from gtn_sl.learners.registry import LEARNERS, Architecture


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, which is a 1x1 convolution if the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, form: Form) -> None:
        super().__init__()
        first, second = (
            form.plain_conv(channels_in, channels_out, 3, stride=stride),
            form.plain_conv(channels_out, channels_out, 3),
        )
        self.path = nn.Sequential(*first, *second[:-1])
        changed = stride > 1 or channels_in != channels_out
        shortcut = form.plain_conv(channels_in, channels_out, 1, stride=stride)[:-1] if changed else []
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = ACTIVATIONS[form.activation]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.path(x) + self.shortcut(x))
        return y


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    width = form.widths[0]
    layers = form.plain_conv(image_shape[0], width, 3)
    for stage, channels in enumerate(form.widths):
        for index in range(form.depth):
            layers.append(_Block(width, channels, 2 if stage and not index else 1, form))
            width = channels
    return nn.Sequential(*layers, GlobalAverage(), nn.Linear(width, classes))


@LEARNERS.register("resnet")
def resnet() -> Architecture:
    """ResNet-8: one block in each of three stages of 16, 32 and 64 channels; ``depth=3`` is ResNet-20."""
    return Architecture(
        _build,
        Form((16, 32, 64), norm="batch", activation="relu"),
        random_widths=((8, 32), (16, 64), (32, 128)),
        depths=(1, 10),
    )
