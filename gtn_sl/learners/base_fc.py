"""The original's ``base`` and ``base_fc`` learners, with their max-pooling or with a smooth average pooling.

Max-pooling makes the meta-gradient wild, so average pooling is the default form of both.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.errors import UsageError
from gtn_core.layers import (
    SMALL,
    MeanOnlyBatchNorm,
    WeightNormConv2d,
    WeightNormLinear,
    apply_as_matrix,
    box_matrix,
    weight_norm,
)
from gtn_sl.learners.registry import LEARNERS, Architecture

SLOPE = 0.1  # of every leaky ReLU, as in the original code


class AveragePooledConv2d(WeightNormConv2d):
    """A 3x3 convolution followed by 2x2 average pooling, computed as the one 4x4 convolution of stride 2 that they are.

    Both are linear, so the pooled convolution has the kernel ``sum of the four shifted 3x3 kernels / 4``: the same function
    of the same parameters, borders included, at 16/36 of the arithmetic and without the unpooled feature map.

    Args:
        channels_in: C of the input ``(N, C, H, W)``, H and W even.
        channels_out: Channels of the output ``(N, channels_out, H / 2, W / 2)``.
    """

    pooling: Tensor

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, negative_slope=SLOPE)
        self.register_buffer("pooling", box_matrix() / 4, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and pools ``x``."""
        height, width = x.shape[2:]
        if height * width * (height // 2) * (width // 2) <= SMALL:
            responses = _responses(height, width, x.dtype, x.device)
            return apply_as_matrix(x, weight_norm(self.v, self.g).flatten(2), responses, (height // 2, width // 2))
        w = (weight_norm(self.v, self.g).flatten(2) @ self.pooling.to(x.dtype)).unflatten(2, (4, 4))
        if x.shape[1] == 1:  # one channel leaves a convolution nothing to vectorise over: a matrix product wins
            columns = F.unfold(x, 4, padding=1, stride=2)  # (N, 16, H/2 * W/2)
            return (w.flatten(1) @ columns).view(len(x), -1, x.shape[2] // 2, x.shape[3] // 2)
        return F.conv2d(x, w, stride=2, padding=1)


@functools.lru_cache(maxsize=8)
def _responses(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns what each tap of the 3x3 kernel, pooled, makes of an impulse, shape ``(9, height * width, height * width / 4)``."""
    impulses = torch.eye(height * width).view(-1, 1, height, width)
    taps = box_matrix().view(9, 1, 4, 4) / 4
    return F.conv2d(impulses, taps, stride=2, padding=1).flatten(2).transpose(0, 1).to(device, dtype)


def _block(channels_in: int, channels_out: int, smooth: bool) -> list[nn.Module]:
    pooled: list[nn.Module]
    if smooth:
        pooled = [AveragePooledConv2d(channels_in, channels_out)]
    else:
        pooled = [WeightNormConv2d(channels_in, channels_out, 3), nn.MaxPool2d(3, stride=2, padding=1)]
    return [*pooled, MeanOnlyBatchNorm(channels_out), nn.LeakyReLU(SLOPE)]


def _base_fc(image_shape: Sequence[int], classes: int, widths: Sequence[int], *, smooth: bool) -> nn.Module:
    channels, height, width = image_shape
    if smooth and (height % 4 or width % 4):
        raise UsageError(f"base_fc pools twice and needs sides divisible by 4, got an image of {tuple(image_shape)}")
    conv1, conv2, fc = widths
    return nn.Sequential(
        *_block(channels, conv1, smooth),
        *_block(conv1, conv2, smooth),
        nn.Flatten(),
        WeightNormLinear(conv2 * -(-height // 4) * -(-width // 4), fc),
        MeanOnlyBatchNorm(fc),
        nn.LeakyReLU(SLOPE),
        WeightNormLinear(fc, classes),
    )


@LEARNERS.register("base_fc")
def base_fc() -> Architecture:
    """Two 3x3 convolutions, each with 2x2 average pooling, and a hidden linear layer."""
    return Architecture(
        build=lambda shape, classes, widths: _base_fc(shape, classes, widths, smooth=True),
        widths=(64, 128, 256),
        random_widths=((32, 128), (64, 256), (64, 256)),
    )


@LEARNERS.register("base_fc_maxpool")
def base_fc_maxpool() -> Architecture:
    """The original's ``base_fc``: as ``base_fc``, with overlapping 3x3 max-pooling."""
    return Architecture(
        build=lambda shape, classes, widths: _base_fc(shape, classes, widths, smooth=False),
        widths=(64, 128, 256),
        random_widths=((32, 128), (64, 256), (64, 256)),
    )
