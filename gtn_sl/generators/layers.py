"""Layers of generators, with or without weight norm; batch norm; and two layers that double the resolution."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.layers import SMALL, WeightNormConv2d, WeightNormLinear, apply_as_matrix, box_matrix, weight_norm
from gtn_sl.generators.protocol import SLOPE


class BatchNorm(nn.Module):
    """Full batch normalisation over all axes but 1, always with the statistics of the current batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``x`` of shape ``(N, channels, ...)``."""
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


class Linear(WeightNormLinear):
    """A linear layer ``(N, in) -> (N, out)``.

    Args:
        features_in: Number of inputs.
        features_out: Number of outputs.
        normed: Whether it has weight norm; without it, ``v`` is the weight itself, and there is no ``g``.
        bias: Whether to learn a bias.
    """

    def __init__(self, features_in: int, features_out: int, *, normed: bool, bias: bool = True) -> None:
        super().__init__(features_in, features_out, bias=bias, negative_slope=SLOPE)
        if not normed:
            self.register_parameter("g", None)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to ``x``."""
        return F.linear(x, self.v, self.bias) if self.g is None else super().forward(x)


class _Doubling(WeightNormConv2d):
    """Base class of layers from ``(N, in, H, W)`` to ``(N, out, 2 H, 2 W)``; arguments as for ``Linear``."""

    def __init__(self, channels_in: int, channels_out: int, size: int, *, normed: bool, bias: bool) -> None:
        super().__init__(channels_in, channels_out, size, bias=bias, negative_slope=SLOPE)
        if not normed:
            self.register_parameter("g", None)

    def kernel(self) -> Tensor:
        """Returns the effective weights, shape ``(out, in, size, size)``."""
        return self.v if self.g is None else weight_norm(self.v, self.g)


class TransposedConv2d(_Doubling):
    """A transposed 4x4 convolution of stride 2."""

    def __init__(self, channels_in: int, channels_out: int, *, normed: bool, bias: bool = False) -> None:
        super().__init__(channels_in, channels_out, 4, normed=normed, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Doubles the resolution of ``x``."""
        x = x.contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(x, self.kernel().transpose(0, 1), self.bias, stride=2, padding=1)


class UpsampledConv2d(_Doubling):
    """Nearest-neighbour upsampling, reflection padding and a 3x3 convolution, computed as one transposed convolution.

    The copies that upsampling makes need not be convolved one by one: with the 3x3 kernel summed over the 2x2 copies
    (a 4x4 kernel), a transposed convolution of stride 2 gives the same values at 4/9 of the arithmetic, and no
    upsampled feature map is ever stored. Reflecting the border after upsampling is the same as repeating it before.
    """

    copying: Tensor

    def __init__(self, channels_in: int, channels_out: int, *, normed: bool, bias: bool = False) -> None:
        super().__init__(channels_in, channels_out, 3, normed=normed, bias=bias)
        flipped = box_matrix().flip(1)  # a transposed convolution reads its kernel in reverse
        self.register_buffer("copying", flipped, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Upsamples and convolves ``x``."""
        height, width = x.shape[2:]
        kernel = self.kernel().flatten(2)
        if 4 * (height * width) ** 2 <= SMALL:
            responses = _responses(height, width, x.dtype, x.device)
            y = apply_as_matrix(x, kernel, responses, (2 * height, 2 * width))
            return y if self.bias is None else y + self.bias.view(-1, 1, 1)
        w = (kernel @ self.copying).unflatten(2, (4, 4))
        x = F.pad(x, (1, 1, 1, 1), mode="replicate").contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(x, w.transpose(0, 1), self.bias, stride=2, padding=3)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # the cached tensor may later be used in training
def _responses(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns each tap's response to upsampled impulses, shape ``(9, height * width, 4 * height * width)``."""
    impulses = torch.eye(height * width).view(-1, 1, height, width)
    taps = box_matrix().flip(1).view(1, 9, 4, 4)
    padded = F.pad(impulses, (1, 1, 1, 1), mode="replicate")
    made = F.conv_transpose2d(padded, taps, stride=2, padding=3)
    return made.flatten(2).transpose(0, 1).to(device, dtype)


def upsampling(channels: tuple[int, int], depth: int, *, normed: bool) -> nn.Sequential:
    """Returns Such et al.'s layers from a quarter of the resolution to unbounded pixels: two upsampling convolutions.

    Args:
        channels: Feature maps at a quarter and at half of the resolution.
        depth: Channels of the images, C.
        normed: Whether layers have weight norm.
    """
    return nn.Sequential(
        BatchNorm(channels[0]),
        nn.LeakyReLU(SLOPE),
        UpsampledConv2d(channels[0], channels[1], normed=normed),
        BatchNorm(channels[1]),
        nn.LeakyReLU(SLOPE),
        UpsampledConv2d(channels[1], depth, normed=normed, bias=True),
    )
