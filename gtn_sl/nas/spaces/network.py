"""The skeleton around the searched part of every network: a stem, a sequence of stages and a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gtn_sl.nas.spaces.operations import SLOPE, Norm, Pool, activated, convolution, linear, normalisation


class Network(nn.Module):
    """A stem, sequential stages, global average pooling and a linear classifier.

    Args:
        stem: Maps images ``(N, C, H, W)`` to feature maps.
        stages: Searched and fixed parts, each of which maps feature maps to feature maps.
        channels: Channels of the last stage's feature maps.
        classes: Number of logits.
        norm: The space's normalisation.
    """

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], channels: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.stem, self.stages = stem, nn.ModuleList(stages)
        self.head = nn.Sequential(normalisation(channels, norm), nn.LeakyReLU(SLOPE))
        self.classifier = linear(channels, classes, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits, shape ``(N, classes)``."""
        x = self.stem(images)
        for stage in self.stages:
            x = stage(x)
        return self.classifier(self.head(x).mean(dim=(2, 3)))

    def auxiliary_point(self) -> nn.Module:
        """Returns the part at two thirds of the depth, whose output an auxiliary classifier can read in training."""
        return self.stages[2 * len(self.stages) // 3]


def stem(channels_in: int, channels: int, stride: int, norm: Norm) -> nn.Module:
    """Returns a 3x3 convolution followed by normalisation."""
    return nn.Sequential(convolution(channels_in, channels, 3, norm, stride=stride), normalisation(channels, norm))


class ResidualReduction(nn.Module):
    """NAS-Bench-201's reduction: two 3x3 convolutions, with average pooling and a 1x1 convolution as the shortcut.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output, whose height and width are halved.
        norm: The space's normalisation.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            activated(channels_in, channels_out, 3, norm, stride=2), activated(channels_out, channels_out, 3, norm)
        )
        self.shortcut = nn.Sequential(Pool("avg", 2, 2), convolution(channels_in, channels_out, 1, norm))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(N, channels_in, H, W)`` to ``(N, channels_out, ceil(H / 2), ceil(W / 2))``."""
        return torch.add(self.shortcut(x), self.body(x))


def pooled_reduction(channels_in: int, channels_out: int, norm: Norm) -> nn.Module:
    """Returns a reduction that only sees the pixels it merges: 2x2 average pooling and a 1x1 convolution."""
    return nn.Sequential(Pool("avg", 2, 2), activated(channels_in, channels_out, 1, norm))
