"""The autoencoder loss: an encoder of real images whose decoder is the generator, an outer loss beside the meta-loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.layers import WeightNormConv2d, WeightNormLinear
from gtn_sl.generators import Generator, GeneratorShape
from gtn_sl.generators.protocol import SLOPE


class Encoder(nn.Module):
    """Two strided convolutions, the generator's widths mirrored, and a linear layer to a noise vector.

    Codes have mean 0 and variance 1 over the batch, as the noise has that the generator gets otherwise.

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
    """Returns how badly a generator makes certain images (and labels, where it makes any) from noise.

    Args:
        generator: The generator.
        noise: A code for each image, shape ``(B, latent)``.
        told: The images' classes as distributions, shape ``(B, classes)``.
        images: Normalised, shape ``(B, C, H, W)``.

    Returns:
        The mean squared error (real pixels have variance 1), plus the cross-entropy of the labels; a scalar.
    """
    made, labels = generator(noise, told)
    error: Tensor = (made - images).square().mean()
    return error if labels is None else error - (told * labels.clamp_min(1e-8).log()).sum(dim=-1).mean()
