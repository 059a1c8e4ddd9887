"""Data that only process 0 has, on disk or in memory, for all processes; and the run folder that it holds for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gtn_core.checkpoint import load_checkpoint
from gtn_core.distributed.agreement import first
from gtn_core.distributed.world import World
from gtn_core.run_folder import RunFolder


def first_tensors(
    world: World, work: Callable[[], tuple[Mapping[str, Tensor], dict[str, Any]]]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Does work on process 0 and returns its tensors, on the CPU, and its JSON values on every process."""
    tensors: dict[str, Tensor] = {}

    def made() -> tuple[dict[str, Any], dict[str, tuple[str, list[int]]]]:
        found, values = work()
        tensors.update(found)
        return values, {name: (str(t.dtype).removeprefix("torch."), list(t.shape)) for name, t in found.items()}

    values, forms = first(world, made)
    if world.rank:
        tensors |= {name: torch.empty(shape, dtype=getattr(torch, kind)) for name, (kind, shape) in forms.items()}
    world.broadcast_(tensors[name] for name in forms)
    return tensors, values


def read_first(world: World, path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads a checkpoint's tensors and document on process 0, for all; raises as ``checkpoint.load_document`` does."""
    return first_tensors(world, lambda: load_checkpoint(path, kind))


@contextlib.contextmanager
def held_by_first(world: World, run: RunFolder, *, new: bool) -> Iterator[None]:
    """Lets process 0 hold a run folder's lock, and write its log to the run's file, for the duration of a block.

    Args:
        world: The processes.
        run: The run folder.
        new: Whether a run begins there: the folder is created, and cleared of a run that ended before any training.
    """
    with contextlib.ExitStack() as held:

        def hold() -> None:
            if new:
                run.create()
            held.enter_context(run.lock())
            if new:
                run.clear()
            held.enter_context(run.logged())

        first(world, hold)
        yield
