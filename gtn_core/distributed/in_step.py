"""Checks that all processes hold the same numbers, which each computes for itself."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from gtn_core.distributed.world import World

log = logging.getLogger(__name__)


def keep_in_step(world: World, tensors: Sequence[Tensor]) -> None:
    """Compares tensors over the processes; if they differ, which unlike processors can cause, all take process 0's."""
    if world.size == 1:
        return
    digest = 0
    for tensor in tensors:
        digest = zlib.crc32(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes(), digest)
    if len(set(world.gather(digest))) > 1:
        log.warning(
            "the processes hold different states, as can happen on unlike processors; continuing with process 0's"
        )
        world.broadcast_(tensors)
