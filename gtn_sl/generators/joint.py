"""The joint generator: noise alone in, an image together with its soft label out."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from gtn_sl.generators.layers import BatchNorm, Linear, upsampling
from gtn_sl.generators.protocol import GENERATORS, SLOPE, BoundedGenerator, Generated, GeneratorShape


@GENERATORS.register("joint")
class JointGenerator(BoundedGenerator):
    """The layers of the conditional generator, without the class as input; a head on its hidden layer gives the label.

    Args:
        shape: The generator's sizes.
    """

    is_told: ClassVar[bool] = False
    makes_labels: ClassVar[bool] = True

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__(shape)
        normed = shape.weight_norm
        self.features = nn.Sequential(
            Linear(shape.latent, shape.hidden, normed=normed), BatchNorm(shape.hidden), nn.LeakyReLU(SLOPE)
        )
        self.to_maps = Linear(shape.hidden, self.start[0] * self.start[1] * self.start[2], normed=normed)
        self.to_labels = Linear(shape.hidden, shape.classes, normed=normed)
        self.upsample = upsampling(shape.channels, shape.image_shape[0], normed=normed)

    def forward(self, noise: Tensor, told: Tensor) -> Generated:
        """See ``Generator.forward``; ``told`` is ignored."""
        features = self.features(noise)
        maps = self.to_maps(features).unflatten(1, self.start)
        return self.bounded(self.upsample(maps)), self.to_labels(features).softmax(dim=-1)
