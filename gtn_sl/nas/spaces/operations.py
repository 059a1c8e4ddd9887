"""The operations that architectures choose from; each keeps the channels and divides height and width by its stride.

Convolutions are pre-activated: leaky ReLU, convolution, normalisation. Average pooling excludes padding from the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.layers import Conv2d, WeightNormConv2d, WeightNormLinear
from gtn_core.norms import BatchNorm, MeanOnlyBatchNorm
from gtn_core.registry import Registry

SLOPE = 0.1  # negative slope of every leaky ReLU, as in the original code's learners

Norm = Literal["batch", "mean-only"]
"""``batch``: batch norm with plain weights. ``mean-only``: mean-only batch norm with weight norm, as in the original
code's learners; sums of many branches, and hence the logits, then grow."""


@dataclass(frozen=True)
class Operation:
    """One kind of edge.

    Attributes:
        title: Label of an edge in drawings.
        build: ``(channels, stride, norm) -> module``.
    """

    title: str
    build: Callable[[int, int, Norm], nn.Module]


OPERATIONS: Registry[Operation] = Registry("operation")
"""Operations by two-letter code."""


def normalisation(channels: int, norm: Norm) -> nn.Module:
    """Returns the normalisation layer of a space."""
    return BatchNorm(channels) if norm == "batch" else MeanOnlyBatchNorm(channels)


def convolution(
    channels_in: int,
    channels_out: int,
    kernel: int | tuple[int, int],
    norm: Norm,
    *,
    stride: int | tuple[int, int] = 1,
    groups: int = 1,
) -> nn.Module:
    """Returns a convolution without activation or normalisation, with "same" padding at stride 1."""
    if norm == "mean-only":
        return WeightNormConv2d(channels_in, channels_out, kernel, stride=stride, groups=groups, negative_slope=SLOPE)
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2)
    layer = Conv2d(channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    return layer


def linear(features: int, classes: int, norm: Norm) -> nn.Module:
    """Returns the classifier's last layer."""
    return WeightNormLinear(features, classes) if norm == "mean-only" else nn.Linear(features, classes)


def activated(channels_in: int, channels_out: int, kernel: int, norm: Norm, stride: int = 1) -> nn.Sequential:
    """Returns a pre-activated convolution: leaky ReLU, convolution, normalisation."""
    body = convolution(channels_in, channels_out, kernel, norm, stride=stride)
    return nn.Sequential(nn.LeakyReLU(SLOPE), body, normalisation(channels_out, norm))


class Zero(nn.Module):
    """No connection: zeros of the strided shape."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Returns zeros, shape ``(N, C, ceil(H / stride), ceil(W / stride))``."""
        return torch.zeros_like(x[..., :: self.stride, :: self.stride])


class Pool(nn.Module):
    """Average or max pooling over a square window.

    Args:
        kind: ``avg`` or ``max``.
        side: Side of the window. An even window extends right and down; at stride 1 the last row and column are
            repeated.
        stride: 1 or 2; half of an odd height or width is rounded up.
    """

    def __init__(self, kind: Literal["avg", "max"], side: int, stride: int) -> None:
        super().__init__()
        self.kind, self.side, self.stride = kind, side, stride

    def forward(self, x: Tensor) -> Tensor:
        """Returns the pooled ``x``, shape ``(N, C, ceil(H / stride), ceil(W / stride))``."""
        if self.side % 2 == 0 and self.stride == 1:
            x = torch.cat([x, x[..., -1:, :]], dim=-2)
            x = torch.cat([x, x[..., -1:]], dim=-1)
        padding, ceil = (self.side // 2, False) if self.side % 2 else (0, self.stride > 1)
        if self.kind == "max":
            return F.max_pool2d(x, self.side, self.stride, padding, ceil_mode=ceil)
        return F.avg_pool2d(x, self.side, self.stride, padding, ceil_mode=ceil, count_include_pad=False)


def _skip(channels: int, stride: int, norm: Norm) -> nn.Module:
    if stride == 1:
        return nn.Identity()
    return nn.Sequential(Pool("avg", 2, stride), activated(channels, channels, 1, norm))


def _oblong(channels: int, stride: int, norm: Norm, length: int) -> nn.Module:
    """Returns a 1 x ``length`` convolution followed by a ``length`` x 1 one."""
    return nn.Sequential(
        nn.LeakyReLU(SLOPE),
        convolution(channels, channels, (1, length), norm, stride=(1, stride)),
        convolution(channels, channels, (length, 1), norm, stride=(stride, 1)),
        normalisation(channels, norm),
    )


def _separable(channels: int, stride: int, norm: Norm, kernel: int) -> nn.Module:
    return nn.Sequential(
        nn.LeakyReLU(SLOPE),
        convolution(channels, channels, kernel, norm, stride=stride, groups=channels),
        convolution(channels, channels, 1, norm),
        normalisation(channels, norm),
    )


def _register(code: str, title: str, build: Callable[[int, int, Norm], nn.Module]) -> None:
    OPERATIONS.register(code)(Operation(title, build))


_register("no", "none", lambda channels, stride, norm: Zero(stride))
_register("sk", "skip", _skip)
_register("c1", "conv 1x1", lambda channels, stride, norm: activated(channels, channels, 1, norm, stride))
_register("c3", "conv 3x3", lambda channels, stride, norm: activated(channels, channels, 3, norm, stride))
_register("f3", "conv 1x3 + 3x1", lambda channels, stride, norm: _oblong(channels, stride, norm, 3))
_register("f7", "conv 1x7 + 7x1", lambda channels, stride, norm: _oblong(channels, stride, norm, 7))
_register("s1", "sep conv 1x1", lambda channels, stride, norm: _separable(channels, stride, norm, 1))
_register("s3", "sep conv 3x3", lambda channels, stride, norm: _separable(channels, stride, norm, 3))
_register("m2", "max pool 2x2", lambda channels, stride, norm: Pool("max", 2, stride))
_register("m3", "max pool 3x3", lambda channels, stride, norm: Pool("max", 3, stride))
_register("m5", "max pool 5x5", lambda channels, stride, norm: Pool("max", 5, stride))
_register("a2", "avg pool 2x2", lambda channels, stride, norm: Pool("avg", 2, stride))
_register("a3", "avg pool 3x3", lambda channels, stride, norm: Pool("avg", 3, stride))
_register("a5", "avg pool 5x5", lambda channels, stride, norm: Pool("avg", 5, stride))
