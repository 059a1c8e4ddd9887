"""Batches of real images for a run of inner steps: shuffled epochs, without replacement within an epoch."""

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

    No image comes twice before every image came once; a batch may span the seam of two epochs, or several epochs when
    the split is smaller than a batch. Each call begins a new epoch.

    Args:
        split: What to draw from.
        steps: How many batches, at least 1.
        batch_size: Images per batch, at least 1.
        generator: A seed, or a generator to go on with.

    Returns:
        Images uint8 (steps, batch_size, C, H, W) and labels int64 (steps, batch_size), on the split's device.

    Raises:
        ValueError: There is nothing to draw, or nothing to draw from.
    """
    if steps < 1 or batch_size < 1 or len(split) == 0:
        raise ValueError(f"cannot draw {steps} batches of {batch_size} from {len(split)} images")
    if not isinstance(generator, torch.Generator):
        generator = torch.Generator().manual_seed(generator)
    order = shuffled_epochs(len(split), steps * batch_size, generator)
    index = send(order.view(steps, batch_size), split.labels.device)
    return split.images[index], split.labels[index]


def shuffled_epochs(size: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """Returns ``count`` indices below ``size``, int64 ``(count,)``: freshly shuffled epochs, one behind the other."""
    epochs = -(-count // size)
    order = [torch.randperm(size, generator=generator, device=generator.device) for _ in range(epochs)]
    return torch.cat(order)[:count]
