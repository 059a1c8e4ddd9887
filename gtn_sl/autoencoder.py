"""The autoencoder loss, added to the meta-loss: an encoder of real images, with the generator as its decoder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.layers import WeightNormConv2d, WeightNormLinear
from gtn_sl.generators import Generator, GeneratorShape
from gtn_sl.generators.protocol import SLOPE


class Encoder(nn.Module):
    """Two strided convolutions, with the generator's widths in reverse order, and a linear layer to a noise vector.

    Codes are normalised over the batch to mean 0 and variance 1, like the noise that the generator otherwise gets.

    Args:
        shape: The generator's sizes.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        depth, (maps, height, width) = shape.image_shape[0], shape.start
        self.layers = nn.Sequential(
            WeightNormConv2d(depth, shape.channels[1], 3, stride=2, bias=True),
            nn.LeakyReLU(SLOPE),
            WeightNormConv2d(shape.channels[1], maps, 3, stride=2, bias=True),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            WeightNormLinear(maps * height * width, shape.latent),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Returns codes ``(B, latent)`` of normalised images ``(B, C, H, W)``."""
        return F.batch_norm(self.layers(images), None, None, training=True)


def reconstruction_loss(generator: Generator, noise: Tensor, told: Tensor, images: Tensor) -> Tensor:
    """Returns how badly a generator reconstructs images, and their labels if it generates labels, from codes.

    Args:
        generator: The generator.
        noise: One code per image, shape ``(B, latent)``.
        told: The images' classes as distributions, shape ``(B, classes)``.
        images: Normalised images, shape ``(B, C, H, W)``.

    Returns:
        The mean squared error (real pixels have variance 1), plus the cross-entropy of any labels; a scalar.
    """
    made, labels = generator(noise, told)
    error: Tensor = (made - images).square().mean()
    return error if labels is None else error - (told * labels.clamp_min(1e-8).log()).sum(dim=-1).mean()
