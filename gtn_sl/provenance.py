"""How a teacher was made, as recorded in its header: the command, the seed, the cost and the kind of machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gtn_core.checkpoint import load_checkpoint, save_checkpoint
from gtn_core.planning.cache import processor


@dataclass(frozen=True)
class Provenance:
    """How a teacher was made, and what that cost.

    Attributes:
        command: What the user typed; empty if it was made from Python.
        seed: Root of the run's randomness.
        outer_steps: Outer steps of the whole run, including those after the best validation.
        minutes: Wall-clock minutes of these, including validation.
        cpu_seconds: Processor time of the whole run: warm start, outer steps, validation.
        hardware: Device and threads, e.g. ``"1 thread of AMD EPYC (2 cores)"``.
        start: Name, task, metrics and provenance of the teacher that it started from, whose cost is not included above.
    """

    command: str
    seed: int
    outer_steps: int
    minutes: float
    cpu_seconds: float
    hardware: str
    start: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values, with times rounded and without fields that are ``None``."""
        told = {**asdict(self), "minutes": round(self.minutes, 2), "cpu_seconds": round(self.cpu_seconds, 1)}
        return {key: value for key, value in told.items() if value is not None}


def cpu_seconds_of(document: Mapping[str, Any]) -> float | None:
    """Returns the processor time of making a teacher, including what it started from; ``None`` if unknown."""
    made = document.get("provenance")
    if made is None:
        return None
    start = made.get("start")
    before = 0.0 if start is None else cpu_seconds_of(start)
    return None if before is None else float(made["cpu_seconds"]) + before


def hardware(device: str, threads: int) -> str:
    """Returns the kind of machine that computes: the GPU's name, or the number of threads and the processor."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = torch.multiprocessing.cpu_count()
    return f"{threads} thread{'s' if threads > 1 else ''} of {processor()} ({cores} core{'s' if cores > 1 else ''})"


def tell(path: Path, provenance: Provenance) -> None:
    """Writes the provenance into the header of a teacher's file, replacing what was there."""
    tensors, document = load_checkpoint(path, "teacher")
    save_checkpoint(path, tensors, {**document, "provenance": provenance.to_json()})
