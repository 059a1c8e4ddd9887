"""A network of cells, the template of architecture search on CIFAR-10, with one fixed cell of separable convolutions.

A stem, three stages of ``depth`` cells, between stages a cell of stride 2 that doubles the width, and global average
pooling. The template is that of Zoph et al., *Learning Transferable Architectures* (CVPR 2018), which the search of
Such et al. builds on.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gtn_sl.learners.form import Form, GlobalAverage
from gtn_sl.learners.registry import LEARNERS, Architecture


class _Cell(nn.Module):
    """Two 3x3 separable convolutions with a shortcut, which is a 1x1 convolution if the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, form: Form) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *form.separable_conv(channels_in, channels_out, 3, stride),
            *form.separable_conv(channels_out, channels_out, 3),
        )
        changed = stride > 1 or channels_in != channels_out
        self.shortcut = nn.Sequential(*form.conv(channels_in, channels_out, 1, stride)) if changed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.path(x) + self.shortcut(x)
        return y


def _build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
    width = form.widths[0]
    layers = form.conv(image_shape[0], width, 3)
    for stage in range(3):
        if stage:
            layers.append(_Cell(width, 2 * width, 2, form))
            width *= 2
        layers += [_Cell(width, width, 1, form) for _ in range(form.depth)]
    return nn.Sequential(*layers, GlobalAverage(), nn.Linear(width, classes))


@LEARNERS.register("cell_network")
def cell_network() -> Architecture:
    """One cell per stage, starting at 32 channels."""
    return Architecture(_build, Form((32,), norm="batch", activation="relu"), random_widths=((16, 64),), depths=(1, 7))
