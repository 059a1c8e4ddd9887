"""What the members of a family of learners differ in (widths, depth, norm, activation), and layers made from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from gtn_core.layers import Conv2d, WeightNormConv2d, WeightNormLinear
from gtn_core.norms import BatchNorm, GroupNorm, MeanOnlyBatchNorm
from gtn_core.registry import Registry
from gtn_sl.learners.pooled_conv import AveragePooledConv2d

SLOPE = 0.1
"""Negative slope of every leaky ReLU, as in the original code."""

NORMS: Registry[Callable[[int], nn.Module]] = Registry("norm")
NORMS.register("mean-only")(MeanOnlyBatchNorm)
NORMS.register("batch")(BatchNorm)
NORMS.register("group")(lambda channels: GroupNorm(channels, math.gcd(channels, 8)))
NORMS.register("instance")(lambda channels: GroupNorm(channels, channels))
NORMS.register("layer")(lambda channels: GroupNorm(channels, 1))
NORMS.register("none")(lambda channels: nn.Identity())


class _SiLU(nn.Module):
    """``x sigmoid(x)``, in operations that support forward-over-reverse differentiation, unlike ``torch.nn.SiLU``."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.sigmoid()


ACTIVATIONS: Registry[Callable[[], nn.Module]] = Registry("activation")
ACTIVATIONS.register("leaky_relu")(lambda: nn.LeakyReLU(SLOPE))
ACTIVATIONS.register("relu")(nn.ReLU)
ACTIVATIONS.register("gelu")(nn.GELU)
ACTIVATIONS.register("silu")(_SiLU)
ACTIVATIONS.register("elu")(nn.ELU)
ACTIVATIONS.register("tanh")(nn.Tanh)


@dataclass(frozen=True)
class Form:
    """One member of a family of learners.

    Attributes:
        widths: Channels and hidden units, as many as the family has.
        depth: Number of times that the family's repeated part occurs; unused if it has none.
        norm: A name in ``NORMS``.
        activation: A name in ``ACTIVATIONS``.
    """

    widths: tuple[int, ...]
    depth: int = 1
    norm: str = "mean-only"
    activation: str = "leaky_relu"

    @property
    def biased(self) -> bool:
        """Whether convolutions need their own bias: a norm after them already has one."""
        return self.norm == "none"

    def ending(self, channels: int) -> list[nn.Module]:
        """Returns the norm and activation that follow each layer."""
        return [NORMS[self.norm](channels), ACTIVATIONS[self.activation]()]

    def conv(self, channels_in: int, channels_out: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
        """Returns a weight-normed convolution with norm and activation."""
        convolution = WeightNormConv2d(channels_in, channels_out, kernel_size, stride=stride, bias=self.biased)
        return [convolution, *self.ending(channels_out)]

    def pooled_conv(self, channels_in: int, channels_out: int, *, gain: float = 1.0) -> list[nn.Module]:
        """Returns a weight-normed 3x3 convolution with 2x2 average pooling, norm and activation."""
        convolution = AveragePooledConv2d(channels_in, channels_out, bias=self.biased, gain=gain)
        return [convolution, *self.ending(channels_out)]

    def maxpooled_conv(self, channels_in: int, channels_out: int) -> list[nn.Module]:
        """Returns ``pooled_conv`` with the original's overlapping 3x3 max-pooling instead."""
        convolution = WeightNormConv2d(channels_in, channels_out, 3, bias=self.biased)
        return [convolution, nn.MaxPool2d(3, stride=2, padding=1), *self.ending(channels_out)]

    def separable_conv(self, channels_in: int, channels_out: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
        """Returns a weight-normed depthwise convolution and a 1x1 convolution, then norm and activation."""
        depthwise = WeightNormConv2d(channels_in, channels_in, kernel_size, stride=stride, groups=channels_in)
        pointwise = WeightNormConv2d(channels_in, channels_out, 1, bias=self.biased)
        return [depthwise, pointwise, *self.ending(channels_out)]

    def linear(self, features_in: int, features_out: int) -> list[nn.Module]:
        """Returns a weight-normed linear layer with norm and activation."""
        return [WeightNormLinear(features_in, features_out), *self.ending(features_out)]

    def plain_conv(
        self, channels_in: int, channels_out: int, kernel_size: int, *, stride: int = 1, padding: int | None = None
    ) -> list[nn.Module]:
        """Returns a convolution with torch's default initialisation, norm and activation."""
        padding = kernel_size // 2 if padding is None else padding
        convolution = Conv2d(channels_in, channels_out, kernel_size, stride, padding, bias=self.biased)
        return [convolution, *self.ending(channels_out)]

    def plain_linear(self, features_in: int, features_out: int) -> list[nn.Module]:
        """Returns a linear layer with torch's default initialisation, norm and activation."""
        return [nn.Linear(features_in, features_out), *self.ending(features_out)]


class GlobalAverage(nn.Module):
    """Averages ``(N, C, H, W)`` over all positions to ``(N, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Averages ``x``."""
        return x.mean(dim=(2, 3))
