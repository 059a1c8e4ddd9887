"""Weight-normalised layers of a learner, and the sampling of widths. For other norms, see ``gtn_core.norms``.

Weight norm follows Salimans and Kingma, *Weight Normalization* (NeurIPS 2016, section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def weight_norm(v: Tensor, g: Tensor) -> Tensor:
    """Returns ``g * v / ||v||``, with the norm over all but the first axis.

    Args:
        v: Direction, shape ``(out, ...)``.
        g: Norm of each output's weight vector, shape ``(out,)``.
    """
    return v * _scale(v, g).view(-1, *[1] * (v.dim() - 1))


def _scale(v: Tensor, g: Tensor) -> Tensor:
    """Returns ``g / ||v||``, in a form whose second derivative takes a third as many passes as with ``norm``."""
    return g * (v * v).flatten(1).sum(dim=1).rsqrt()


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    groups: int = 1,
) -> Tensor:
    """Returns ``F.conv2d``; a strided 1x1 kernel is applied, equivalently, to the pixels that the stride leaves.

    In the contiguous layout this is faster. In the channels-last layout with fewer than 8 channels, the gradient of the
    strided form writes out of bounds in oneDNN 3.12 (torch 2.13) on a CPU with AVX2 alone.

    Args:
        x: Shape ``(N, C, H, W)``.
        weight: Shape ``(out, C / groups, height, width)``.
        bias: Shape ``(out,)``.
        stride: Stride of rows and columns.
        padding: Zero padding above and below, left and right.
        groups: Number of groups of channels that do not see each other.
    """
    if weight.shape[2:] == (1, 1) and padding == (0, 0) and stride != (1, 1):
        x, stride = x[..., :: stride[0], :: stride[1]], (1, 1)
    return F.conv2d(x, weight, bias, stride, padding, groups=groups)


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``, zero-padded and not dilated, computed by ``convolve``.

    Raises:
        ValueError: Dilation, or padding with anything but zeros, is asked for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.dilation != (1, 1) or self.padding_mode != "zeros":
            raise ValueError(
                "this convolution is neither dilated nor padded with anything but zeros; use torch.nn.Conv2d"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Convolves ``x``."""
        return convolve(x, self.weight, self.bias, self.stride, self.padding, self.groups)  # type: ignore[arg-type]


def _pair(sizes: int | tuple[int, int]) -> tuple[int, int]:
    return (sizes, sizes) if isinstance(sizes, int) else sizes


def box_matrix() -> Tensor:
    """Returns the (9, 16) matrix that maps a flat 3x3 kernel to the flat 4x4 sum of its four copies shifted by 0 or 1.

    A 3x3 convolution before summing 2x2 neighbours, or after copying each pixel to 2x2, is one convolution with the 4x4
    kernel.
    """
    matrix = torch.zeros(3, 3, 4, 4)
    for row in range(3):
        for column in range(3):
            matrix[row, column, row : row + 2, column : column + 2] = 1
    return matrix.view(9, 16)


SMALL = 1024
"""Pixels in times pixels out up to which a convolution is fastest as one matrix product: 8x8 to 4x4, but not 28x28."""


def apply_as_matrix(x: Tensor, kernel: Tensor, responses: Tensor, out: tuple[int, int]) -> Tensor:
    """Applies a convolution to small images as one matrix product; derivatives of any order are matrix products, too.

    Args:
        x: Images, shape ``(N, C, H, W)``.
        kernel: Shape ``(out channels, C, taps)``.
        responses: Response of each tap alone to an impulse in each pixel, shape ``(taps, H * W, H' * W')``.
        out: ``(H', W')``.

    Returns:
        Images, shape ``(N, out channels, H', W')``.
    """
    channels_out, channels_in = kernel.shape[:2]
    dense = (kernel.flatten(0, 1) @ responses.flatten(1)).view(channels_out, channels_in, *responses.shape[1:])
    matrix = dense.permute(1, 2, 0, 3).reshape(channels_in * responses.shape[1], -1)
    return (x.flatten(1) @ matrix).view(len(x), channels_out, *out)


class _WeightNormed(nn.Module):
    """Holds the direction ``v`` (Kaiming-normal for a leaky ReLU) and the norm ``g``, which starts at ``||v||``."""

    def __init__(self, weight_shape: Sequence[int], bias: bool, negative_slope: float) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.v = nn.Parameter(torch.empty(*weight_shape))
        self.g = nn.Parameter(torch.empty(weight_shape[0]))
        self.bias = nn.Parameter(torch.empty(weight_shape[0])) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws fresh parameters from torch's global generator."""
        nn.init.kaiming_normal_(self.v, a=self.negative_slope)
        with torch.no_grad():
            self.g.copy_(self.v.flatten(1).norm(dim=1))
            if self.bias is not None:
                self.bias.zero_()


class WeightNormConv2d(_WeightNormed):
    """A 2d convolution ``(N, C, H, W) -> (N, out, H', W')`` with weight norm, by default without bias.

    Args:
        channels_in: C.
        channels_out: Number of output channels.
        kernel_size: Side of the square kernel, or its height and width.
        stride: Stride in both directions, or of rows and columns.
        padding: Zero padding; half the kernel by default.
        groups: Number of groups of channels that do not see each other; ``channels_in`` for a depthwise convolution.
        bias: Whether to learn a bias, which a batch norm after the layer makes redundant.
        negative_slope: Slope of the leaky ReLU that follows, for the initial scale.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | None = None,
        groups: int = 1,
        bias: bool = False,
        negative_slope: float = 0.1,
    ) -> None:
        height, width = _pair(kernel_size)
        super().__init__((channels_out, channels_in // groups, height, width), bias, negative_slope)
        self.stride, self.groups = _pair(stride), groups
        self.padding = (height // 2, width // 2) if padding is None else _pair(padding)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves ``x``."""
        return convolve(x, weight_norm(self.v, self.g), self.bias, self.stride, self.padding, self.groups)


class WeightNormLinear(_WeightNormed):
    """A linear layer ``(N, in) -> (N, out)`` with weight norm, by default with bias.

    Args:
        features_in: Number of inputs.
        features_out: Number of outputs.
        bias: Whether to learn a bias.
        negative_slope: Slope of the leaky ReLU that follows, for the initial scale.
    """

    def __init__(self, features_in: int, features_out: int, *, bias: bool = True, negative_slope: float = 0.1) -> None:
        super().__init__((features_out, features_in), bias, negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to ``x``; scales the outputs instead of the weights, of which there are many more."""
        outputs = F.linear(x, self.v) * _scale(self.v, self.g)
        return outputs if self.bias is None else outputs + self.bias


def sample_widths(ranges: Sequence[tuple[int, int]], rng: np.random.Generator) -> tuple[int, ...]:
    """Draws one width per layer, uniformly from ``[low, high)``; ``low == high`` fixes it.

    Args:
        ranges: ``(low, high)`` per layer.
        rng: Source of randomness.
    """
    return tuple(low if low == high else int(rng.integers(low, high)) for low, high in ranges)
