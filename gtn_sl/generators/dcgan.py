"""A generator in the form of DCGAN (Radford, Metz and Chintala, ICLR 2016), conditioned on the class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gtn_sl.generators.layers import BatchNorm, Linear, TransposedConv2d
from gtn_sl.generators.protocol import GENERATORS, BoundedGenerator, Generated, GeneratorShape


@GENERATORS.register("dcgan")
class DCGANGenerator(BoundedGenerator):
    """A projection to feature maps and two transposed 4x4 convolutions, batch norm and ReLU between; no hidden layer.

    Args:
        shape: The generator's sizes; ``hidden`` is not used.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__(shape)
        channels, height, width = self.start
        normed = shape.weight_norm
        self.layers = nn.Sequential(
            Linear(shape.latent + shape.classes, channels * height * width, normed=normed, bias=False),
            nn.Unflatten(1, self.start),
            BatchNorm(channels),
            nn.ReLU(),
            TransposedConv2d(channels, shape.channels[1], normed=normed),
            BatchNorm(shape.channels[1]),
            nn.ReLU(),
            TransposedConv2d(shape.channels[1], shape.image_shape[0], normed=normed, bias=True),
        )

    def forward(self, noise: Tensor, told: Tensor) -> Generated:
        """See ``Generator.forward``; ``told`` may be soft."""
        return self.bounded(self.layers(torch.cat([noise, told], dim=1))), None
