"""The conditional image generator: noise and a label in, a normalised image out. What noise and which label: elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.layers import SMALL, WeightNormConv2d, WeightNormLinear, apply_as_matrix, box_matrix, weight_norm

SLOPE = 0.1


class _BatchNorm(nn.Module):
    """Full batch normalisation, always with the statistics of the batch at hand, over all axes but 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)


class UpsampledConv2d(WeightNormConv2d):
    """Nearest-neighbour upsampling, reflection padding and a 3x3 convolution, computed as one transposed convolution.

    The copies that upsampling makes need not be convolved one by one: with the 3x3 kernel summed over the 2x2 copies
    (a 4x4 kernel) a transposed convolution of stride 2 gives the same values at 4/9 of the arithmetic, and no enlarged or
    padded feature map is ever made. Reflecting an upsampled border is repeating the border before.

    Args:
        channels_in: C of the input ``(N, C, H, W)``.
        channels_out: Channels of the output ``(N, channels_out, 2 H, 2 W)``.
        bias: Whether to learn a bias.
    """

    copying: Tensor

    def __init__(self, channels_in: int, channels_out: int, *, bias: bool = False) -> None:
        super().__init__(channels_in, channels_out, 3, bias=bias, negative_slope=SLOPE)
        flipped = box_matrix().flip(1)  # a transposed convolution reads its kernel from the other end
        self.register_buffer("copying", flipped, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Upsamples and convolves ``x``."""
        height, width = x.shape[2:]
        if 4 * (height * width) ** 2 <= SMALL:
            responses = _responses(height, width, x.dtype, x.device)
            kernel = weight_norm(self.v, self.g).flatten(2)
            y = apply_as_matrix(x, kernel, responses, (2 * height, 2 * width))
            return y if self.bias is None else y + self.bias.view(-1, 1, 1)
        w = (weight_norm(self.v, self.g).flatten(2) @ self.copying).unflatten(2, (4, 4))
        x = F.pad(x, (1, 1, 1, 1), mode="replicate").contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(x, w.transpose(0, 1), self.bias, stride=2, padding=3)


@functools.lru_cache(maxsize=8)
def _responses(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns what each tap makes of an impulse, upsampled, shape ``(9, height * width, 4 * height * width)``."""
    impulses = torch.eye(height * width).view(-1, 1, height, width)
    taps = box_matrix().flip(1).view(1, 9, 4, 4)
    padded = F.pad(impulses, (1, 1, 1, 1), mode="replicate")
    made = F.conv_transpose2d(padded, taps, stride=2, padding=3)
    return made.flatten(2).transpose(0, 1).to(device, dtype)


class ConditionalGenerator(nn.Module):
    """Such et al.'s generator (ICML 2020, appendix A), every width free: two linear layers, then two upsampling convolutions.

    Args:
        image_shape: ``(C, H, W)``, H and W divisible by 4.
        classes: Length of a label vector.
        latent: Length of a noise vector.
        hidden: Width of the first linear layer; the original has 1024.
        channels: Feature maps at a quarter and at half of the resolution; the original has ``(128, 64)``.
        value_range: Smallest and largest normalised pixel of the real data, per channel, shape ``(2, C)``. The output covers it
            with a tenth to spare on each side, so that no real pixel sits where the tanh is flat.

    Raises:
        ValueError: The image's sides are not divisible by 4.
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        classes: int,
        *,
        latent: int,
        hidden: int,
        channels: tuple[int, int],
        value_range: Tensor,
    ) -> None:
        super().__init__()
        depth, height, width = image_shape
        if height % 4 or width % 4:
            raise ValueError(f"the generator needs sides divisible by 4, got an image of {tuple(image_shape)}")
        self.start = (channels[0], height // 4, width // 4)
        self.dense = nn.Sequential(
            WeightNormLinear(latent + classes, hidden),
            _BatchNorm(hidden),
            nn.LeakyReLU(SLOPE),
            WeightNormLinear(hidden, channels[0] * self.start[1] * self.start[2]),
        )
        self.upsample = nn.Sequential(
            _BatchNorm(channels[0]),
            nn.LeakyReLU(SLOPE),
            UpsampledConv2d(channels[0], channels[1]),
            _BatchNorm(channels[1]),
            nn.LeakyReLU(SLOPE),
            UpsampledConv2d(channels[1], depth, bias=True),
        )
        low, high = value_range.float().view(2, depth, 1, 1)
        self.register_buffer("offset", (high + low) / 2)
        self.register_buffer("scale", 1.1 * (high - low) / 2)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Generates images.

        Args:
            noise: Shape ``(B, latent)``.
            labels: One-hot or soft, shape ``(B, classes)``.

        Returns:
            Normalised images, shape ``(B, C, H, W)``.
        """
        features = self.dense(torch.cat([noise, labels], dim=1)).unflatten(1, self.start)
        return torch.tanh(self.upsample(features)) * self.scale + self.offset
