"""Direct pixels: the stored vectors are the images, as in dataset distillation (Wang et al., 2018); no network between."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from gtn_sl.generators.protocol import GENERATORS, Generated, Generator, GeneratorShape


@GENERATORS.register("pixels")
class PixelGenerator(Generator):
    """Gives each noise vector the shape of an image; values are normalised pixels, unbounded, as distillation has them.

    Args:
        shape: Its image shape; nothing else is read.
    """

    is_told: ClassVar[bool] = False
    is_network: ClassVar[bool] = False

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__(shape)
        self.image_shape = shape.image_shape
        self.latent = math.prod(shape.image_shape)

    def forward(self, noise: Tensor, told: Tensor) -> Generated:
        """See ``Generator.forward``; what it is told makes no difference."""
        return noise.view(-1, *self.image_shape), None
