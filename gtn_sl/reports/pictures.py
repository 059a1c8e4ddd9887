"""Pictures of batches, as arrays for TensorBoard and PNG files."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gtn_core.tracking import Picture


def one_of_each(images: Tensor, probabilities: Tensor) -> Tensor:
    """Returns the likeliest image of each class in a batch, shape ``(classes, C, H, W)``; a dark one if none has any.

    Args:
        images: Images, shape ``(N, C, H, W)``.
        probabilities: Probabilities that they are taught with, shape ``(N, classes)``.
    """
    share, place = probabilities.max(dim=0)
    return torch.where((share > 0).view(-1, 1, 1, 1), images[place], images.min())


def batch_grid(images: Tensor, columns: int, *, rows: int = 8, zoom: int = 2) -> Picture:
    """Lays images out row by row, with white lines between them.

    Args:
        images: Pixels in [0, 1], shape ``(N, C, H, W)`` with one or three channels.
        columns: Images per row.
        rows: Maximum number of rows.
        zoom: Side of the square that a pixel becomes.

    Returns:
        The picture, uint8, shape ``(height, width, 3)``.
    """
    rows = min(rows, -(-len(images) // columns))
    pixels = (images[: rows * columns].permute(0, 2, 3, 1).clamp(0, 1) * 255).round().byte().cpu().numpy()
    pixels = pixels.repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = pixels.shape[1] + 2, pixels.shape[2] + 2
    picture = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, image in enumerate(pixels):
        top, left = height * (index // columns), width * (index % columns)
        picture[top : top + height - 2, left : left + width - 2] = image  # a single channel broadcasts to grey
    return picture
