"""Normalisation layers of a learner, all pure: a training step outputs batch statistics, which evaluation takes.

Mean-only batch norm follows Salimans and Kingma, *Weight Normalization* (NeurIPS 2016, section 3), batch norm Ioffe and
Szegedy (ICML 2015), and group norm Wu and He (ECCV 2018); with one channel per group it is instance norm.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-5


class BatchStatistics(nn.Module):
    """Keeps the statistics of the last training batch in buffers, for evaluation (momentum 0)."""

    statistics: ClassVar[tuple[str, ...]]
    """Names of the buffers that a training step outputs and that evaluation needs; see ``gtn_core.learner``."""

    differentiable_statistics = False
    """Whether the statistics carry a graph; then what is computed from them can also be differentiated twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.bias = nn.Parameter(torch.empty(channels))
        for name in self.statistics:
            self.register_buffer(name, torch.empty(channels))


class MeanOnlyBatchNorm(BatchStatistics):
    """Subtracts each channel's batch mean and adds a learned bias; no variance, no gain, no running average.

    In training mode the batch mean is stored in the buffer ``mean``; in evaluation mode that buffer is subtracted, so
    that a learner is evaluated with the statistics of the last batch it was trained on.

    Args:
        channels: Size of axis 1 of the input.
    """

    statistics = ("mean",)
    mean: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the bias and the mean to zero."""
        with torch.no_grad():
            self.bias.zero_()
            self.mean = torch.zeros_like(self.mean)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``x`` of shape ``(N, channels, ...)``."""
        mean = x.mean(_all_but_channels(x)) if self.training else self.mean
        if self.training:
            self.mean = mean if self.differentiable_statistics else mean.detach()
        shift = (self.bias - mean).to(x.dtype)  # under autocast, a float32 shift would promote all that follows
        return x + shift.view(-1, *[1] * (x.dim() - 2))


class BatchNorm(BatchStatistics):
    """Full batch norm with a learned gain and bias; evaluation uses mean and variance of the last training batch.

    Args:
        channels: Size of axis 1 of the input.
    """

    statistics = ("mean", "variance")
    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets gain and variance to one, bias and mean to zero."""
        with torch.no_grad():
            self.weight.fill_(1.0)
            self.bias.zero_()
            self.mean, self.variance = torch.zeros_like(self.mean), torch.ones_like(self.variance)

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``x`` of shape ``(N, channels, ...)``."""
        if self.training and not self.differentiable_statistics:
            return self._fused(x)
        if self.training:
            self.variance, self.mean = torch.var_mean(x, _all_but_channels(x), correction=0)
        mean, variance = self.mean, self.variance
        scale = self.weight * (variance + EPS).rsqrt()
        return _scale_and_shift(x, scale, self.bias - mean * scale)

    def _fused(self, x: Tensor) -> Tensor:
        """Normalises with torch's own kernel, which is faster if the statistics need no gradient."""
        mean, variance = torch.zeros_like(self.mean), torch.ones_like(self.variance)
        y = F.batch_norm(x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=EPS)
        count = x.numel() // x.shape[1]
        self.mean, self.variance = mean, variance * ((count - 1) / count)  # torch stores the unbiased estimate
        return y


class GroupNorm(nn.Module):
    """Normalises each sample separately, over groups of channels and all positions; learns a gain and bias per channel.

    Computes the same as ``torch.nn.GroupNorm``, but from operations that both back-ends of the adjoint can
    differentiate twice, in either memory layout.

    Args:
        channels: Size of axis 1 of the input.
        groups: Number of groups, a divisor of ``channels``. Since one channel per group (instance norm) would map an
            input without positions to a constant, ``(N, channels)`` is then normalised as one group (layer norm).
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        """Sets the gain to one and the bias to zero."""
        with torch.no_grad():
            self.weight.fill_(1.0)
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``x`` of shape ``(N, channels, ...)``."""
        channels = len(self.weight)
        groups = 1 if x.dim() == 2 and self.groups == channels else self.groups
        parts = x.unflatten(1, (groups, channels // groups))  # (N, groups, channels / groups, ...)
        variance, mean = torch.var_mean(parts, list(range(2, parts.dim())), correction=0)  # (N, groups)
        scale = (variance + EPS).rsqrt().unsqueeze(2) * self.weight.view(groups, -1)  # (N, groups, channels / groups)
        shift = self.bias.view(groups, -1) - mean.unsqueeze(2) * scale
        return _scale_and_shift(x, scale.flatten(1), shift.flatten(1))


def statistic_names(module: nn.Module) -> list[str]:
    """Returns the dotted names of the buffers in which the norms of a network keep their batch statistics."""
    return [
        f"{prefix}.{name}".lstrip(".")
        for prefix, child in module.named_modules()
        if isinstance(child, BatchStatistics)
        for name in child.statistics
    ]


def differentiate_statistics(module: nn.Module, differentiable: bool) -> None:
    """Sets whether the batch statistics of all norms of a network carry a graph."""
    for child in module.modules():
        if isinstance(child, BatchStatistics):
            child.differentiable_statistics = differentiable


def _all_but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.dim()) if axis != 1]


def _scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Returns ``scale * x + shift`` in the dtype of ``x``; both have shape ``(channels,)`` or ``(N, channels)``."""
    scale, shift = (s.to(x.dtype).view(*s.shape, *[1] * (x.dim() - 2)) for s in (scale, shift))
    return torch.addcmul(shift, x, scale)
