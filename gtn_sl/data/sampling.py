"""Batches of real images for a sequence of inner steps: shuffled epochs, without replacement within an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gtn_core.device import send

if TYPE_CHECKING:
    from gtn_sl.data.task import Split


def sample_batches(
    split: Split, steps: int, batch_size: int, generator: int | torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws ``steps`` batches by walking through freshly shuffled epochs.

    No image is repeated before every image has been drawn; a batch may span two epochs, or more if the split is smaller
    than a batch. Each call starts a new epoch.

    Args:
        split: The images to draw from.
        steps: Number of batches, at least 1.
        batch_size: Images per batch, at least 1.
        generator: A seed, or a generator to continue.

    Returns:
        Images uint8 (steps, batch_size, C, H, W) and labels int64 (steps, batch_size), on the split's device.

    Raises:
        ValueError: ``steps`` or ``batch_size`` is below 1, or the split is empty.
    """
    if steps < 1 or batch_size < 1 or len(split) == 0:
        raise ValueError(f"cannot draw {steps} batches of {batch_size} from {len(split)} images")
    if not isinstance(generator, torch.Generator):
        generator = torch.Generator().manual_seed(generator)
    order = shuffled_epochs(len(split), steps * batch_size, generator)
    index = send(order.view(steps, batch_size), split.labels.device)
    return split.images[index], split.labels[index]


def shuffled_epochs(size: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """Returns ``count`` indices below ``size``, int64 ``(count,)``: freshly shuffled epochs, one after the other."""
    epochs = -(-count // size)
    order = [torch.randperm(size, generator=generator, device=generator.device) for _ in range(epochs)]
    return torch.cat(order)[:count]
