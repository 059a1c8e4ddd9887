"""How a teacher was made, as its header tells it: the command, the seed, what it cost, and on what kind of machine."""

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
    """What it took to make a teacher.

    Attributes:
        command: What the user typed; empty where it was made from Python.
        seed: Root of the run's randomness.
        outer_steps: Outer steps of the whole run, also those after the best validation.
        minutes: Wall-clock minutes of these, validation included.
        cpu_seconds: Processor time of the whole run: warm start, outer steps, validation.
        hardware: Device and threads, e.g. ``"1 thread of AMD EPYC (2 cores)"``.
        start: Of the teacher that it started from its name, task, figures and own provenance, which is not counted in the above.
    """

    command: str
    seed: int
    outer_steps: int
    minutes: float
    cpu_seconds: float
    hardware: str
    start: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values, times rounded to what they are good for."""
        told = {**asdict(self), "minutes": round(self.minutes, 2), "cpu_seconds": round(self.cpu_seconds, 1)}
        return {key: value for key, value in told.items() if value is not None}


def cpu_seconds_of(document: Mapping[str, Any]) -> float | None:
    """Returns the processor time of a teacher's whole making, that of what it started from included; ``None`` where unknown."""
    made = document.get("provenance")
    if made is None:
        return None
    start = made.get("start")
    before = 0.0 if start is None else cpu_seconds_of(start)
    return None if before is None else float(made["cpu_seconds"]) + before


def hardware(device: str, threads: int) -> str:
    """Returns the class of machine that computes: the GPU's name, or how many threads of which processor."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = torch.multiprocessing.cpu_count()
    return f"{threads} thread{'s' if threads > 1 else ''} of {processor()} ({cores} core{'s' if cores > 1 else ''})"


def tell(path: Path, provenance: Provenance) -> None:
    """Puts the provenance into the header of a teacher's file, in place of what it said before."""
    tensors, document = load_checkpoint(path, "teacher")
    save_checkpoint(path, tensors, {**document, "provenance": provenance.to_json()})
