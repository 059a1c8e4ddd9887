"""Direct pixels: the stored vectors are the images, with no network, as in dataset distillation (Wang et al., 2018)."""

from __future__ import annotations

import math
from typing import ClassVar

from torch import Tensor

from gtn_sl.generators.protocol import GENERATORS, Generated, Generator, GeneratorShape


@GENERATORS.register("pixels")
class PixelGenerator(Generator):
    """Reshapes each noise vector to an image; values are normalised pixels, unbounded, as in dataset distillation.

    Args:
        shape: The generator's sizes; only ``image_shape`` is used.
    """

    is_told: ClassVar[bool] = False
    is_network: ClassVar[bool] = False

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__(shape)
        self.image_shape = shape.image_shape
        self.latent = math.prod(shape.image_shape)

    def forward(self, noise: Tensor, told: Tensor) -> Generated:
        """See ``Generator.forward``; ``told`` is ignored."""
        return noise.view(-1, *self.image_shape), None
