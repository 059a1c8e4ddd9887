"""How long a computation takes, on a CPU or a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def fastest(
    work: Callable[[], object], device: torch.device, *, repeats: int = 5, limit: float = 2.0, warm: bool = False
) -> float:
    """Returns the seconds of the fastest run.

    Args:
        work: What is timed.
        device: Where it runs.
        repeats: Runs at most.
        limit: Seconds after which no other run is begun.
        warm: Whether it has run before; else a run that is not timed comes first.
    """
    if not warm:
        work()
    times: list[float] = []
    while len(times) < repeats and sum(times) < limit:
        _synchronize(device)
        start = time.perf_counter()
        work()
        _synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)


def _synchronize(device: torch.device) -> None:
    """Waits until a GPU has done what it was told; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
