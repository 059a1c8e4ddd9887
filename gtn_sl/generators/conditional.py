"""The conditional image generator of the paper: noise and a class in, a normalised image out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gtn_sl.generators.layers import BatchNorm, Linear, upsampling
from gtn_sl.generators.protocol import GENERATORS, SLOPE, BoundedGenerator, Generated, GeneratorShape


@GENERATORS.register("conditional")
class ConditionalGenerator(BoundedGenerator):
    """The generator of Such et al. (ICML 2020, appendix A), any width: two linear layers, two upsampling convolutions.

    Args:
        shape: The generator's sizes.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__(shape)
        self.dense = nn.Sequential(
            Linear(shape.latent + shape.classes, shape.hidden, normed=shape.weight_norm),
            BatchNorm(shape.hidden),
            nn.LeakyReLU(SLOPE),
            Linear(shape.hidden, self.start[0] * self.start[1] * self.start[2], normed=shape.weight_norm),
        )
        self.upsample = upsampling(shape.channels, shape.image_shape[0], normed=shape.weight_norm)

    def forward(self, noise: Tensor, told: Tensor) -> Generated:
        """See ``Generator.forward``; ``told`` may be soft."""
        features = self.dense(torch.cat([noise, told], dim=1)).unflatten(1, self.start)
        return self.bounded(self.upsample(features)), None
