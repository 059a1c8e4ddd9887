"""A convolution with average pooling folded into it, exactly: on a CPU, pooling costs more than the convolution."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_core.layers import SMALL, WeightNormConv2d, apply_as_matrix, box_matrix, weight_norm


class AveragePooledConv2d(WeightNormConv2d):
    """A 3x3 convolution followed by 2x2 average pooling, computed as a single 4x4 convolution of stride 2.

    Both are linear, so the pooled convolution has the kernel ``sum of the four shifted 3x3 kernels / 4``: the same
    function of the same parameters, including at the borders, at 16/36 of the arithmetic and without the unpooled
    feature map.

    Args:
        channels_in: C of the input ``(N, C, H, W)``.
        channels_out: Channels of the output ``(N, channels_out, H // 2, W // 2)``.
        bias: Whether to learn a bias.
        gain: Factor on the initial length ``g``, to offset the smaller responses after pooling: 2 for the average of
            four independent ones.
    """

    gain = 1.0
    pooling: Tensor

    def __init__(self, channels_in: int, channels_out: int, *, bias: bool = False, gain: float = 1.0) -> None:
        super().__init__(channels_in, channels_out, 3, bias=bias)
        self.gain = gain
        self._lengthen()
        self.register_buffer("pooling", box_matrix() / 4, persistent=False)

    def reset_parameters(self) -> None:
        """Draws fresh parameters from torch's global generator."""
        super().reset_parameters()
        self._lengthen()

    def forward(self, x: Tensor) -> Tensor:
        """Convolves and pools ``x``."""
        y = self._pooled(x)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)

    def _lengthen(self) -> None:
        with torch.no_grad():
            self.g.mul_(self.gain)

    def _pooled(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        kernel = weight_norm(self.v, self.g).flatten(2)
        if height * width * (height // 2) * (width // 2) <= SMALL:
            responses = _responses(height, width, x.dtype, x.device)
            return apply_as_matrix(x, kernel, responses, (height // 2, width // 2))
        w = (kernel @ self.pooling.to(x.dtype)).unflatten(2, (4, 4))
        if x.shape[1] == 1:  # one channel gives a convolution nothing to vectorise over: a matrix product is faster
            columns = F.unfold(x, 4, padding=1, stride=2)  # (N, 16, H/2 * W/2)
            return (w.flatten(1) @ columns).view(len(x), -1, height // 2, width // 2)
        return F.conv2d(x, w, stride=2, padding=1)


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # the cached tensor may later be used in training
def _responses(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns each pooled tap's response to impulses, shape ``(9, height * width, (height // 2) * (width // 2))``."""
    impulses = torch.eye(height * width).view(-1, 1, height, width)
    taps = box_matrix().view(9, 1, 4, 4) / 4
    return F.conv2d(impulses, taps, stride=2, padding=1).flatten(2).transpose(0, 1).to(device, dtype)
