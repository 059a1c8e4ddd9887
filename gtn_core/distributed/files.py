"""Files that lie on the disk of process 0 alone, read there and handed to the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gtn_core.checkpoint import load_checkpoint
from gtn_core.distributed.agreement import first
from gtn_core.distributed.world import World


def read_first(world: World, path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads a checkpoint's tensors and document on process 0, for all; see ``checkpoint.load_document`` for what is refused."""
    tensors: dict[str, Tensor] = {}

    def read() -> tuple[dict[str, Any], dict[str, tuple[str, list[int]]]]:
        found, document = load_checkpoint(path, kind)
        tensors.update(found)
        return document, {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in found.items()}

    document, forms = first(world, read)
    if world.rank:
        tensors |= {name: torch.empty(shape, dtype=getattr(torch, kind)) for name, (kind, shape) in forms.items()}
    world.broadcast_(tensors[name] for name in forms)
    return tensors, document
