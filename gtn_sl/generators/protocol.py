"""The interface of generators: noise and a class in, normalised images (and, for some, labels) out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gtn_core.registry import Registry

SLOPE = 0.1  # negative slope of every leaky ReLU, as in the original code

Generated = tuple[Tensor, Tensor | None]
"""Normalised images ``(B, C, H, W)``, and label probabilities ``(B, classes)`` if the generator makes them."""


@dataclass(frozen=True, eq=False)
class GeneratorShape:
    """The sizes of a generator; each form uses those that concern it.

    Attributes:
        image_shape: ``(C, H, W)``.
        classes: Number of classes, the length of a label vector.
        latent: Length of a noise vector.
        hidden: Width of the first linear layer; the original has 1024.
        channels: Feature maps at a quarter and at half of the resolution; the original has ``(128, 64)``.
        value_range: Smallest and largest normalised pixel of the real data, per channel, shape ``(2, C)``.
        weight_norm: Whether layers have weight norm.
    """

    image_shape: tuple[int, int, int]
    classes: int
    latent: int
    hidden: int
    channels: tuple[int, int]
    value_range: Tensor
    weight_norm: bool = True

    @property
    def start(self) -> tuple[int, int, int]:
        """Channels, height and width of the feature maps at a quarter of the resolution.

        Raises:
            ValueError: The image's sides are not divisible by 4.
        """
        _, height, width = self.image_shape
        if height % 4 or width % 4:
            raise ValueError(f"every generator except pixels needs image sides divisible by 4, not {height}x{width}")
        return self.channels[0], height // 4, width // 4


class Generator(nn.Module):
    """Base class of all generators.

    Args:
        shape: The generator's sizes.

    Attributes:
        latent: Length of its noise vectors.
    """

    is_told: ClassVar[bool] = True
    """Whether its images depend on the class that it is told."""
    makes_labels: ClassVar[bool] = False
    """Whether it also generates labels."""
    is_network: ClassVar[bool] = True
    """Whether it has parameters of its own, which can be fitted and can decode an encoder's codes."""

    latent: int

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.latent = shape.latent

    def forward(self, noise: Tensor, told: Tensor) -> Generated:
        """Generates images.

        Args:
            noise: Noise vectors, shape ``(B, latent)``.
            told: Classes as distributions, shape ``(B, classes)``.
        """
        raise NotImplementedError


GENERATORS: Registry[type[Generator]] = Registry("generator")


class BoundedGenerator(Generator):
    """Base class of generators that are networks: their values are squashed into the range of real pixels.

    The range is widened by a tenth, so that no real pixel lies where the tanh is flat.

    Args:
        shape: The generator's sizes.

    Attributes:
        start: Channels, height and width of the feature maps at a quarter of the resolution.

    Raises:
        ValueError: The image's sides are not divisible by 4.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__(shape)
        self.start = shape.start
        low, high = shape.value_range.float().view(2, -1, 1, 1)
        self.register_buffer("offset", (high + low) / 2)
        self.register_buffer("scale", 1.1 * (high - low) / 2)

    def bounded(self, values: Tensor) -> Tensor:
        """Returns ``values`` squashed into the range of pixels, shape ``(B, C, H, W)``."""
        return torch.tanh(values) * self.scale + self.offset
