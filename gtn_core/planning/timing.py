"""Times a computation on a CPU or a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def fastest(
    work: Callable[[], object], device: torch.device, *, repeats: int = 5, limit: float = 2.0, warm: bool = False
) -> float:
    """Returns the seconds of the fastest run.

    Args:
        work: The computation.
        device: Device that it runs on.
        repeats: Maximum number of timed runs.
        limit: Seconds of timed runs after which no further one is started.
        warm: Whether it has run before; otherwise an untimed run comes first.
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
    """Waits until a GPU has finished its queued work; a CPU has none."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
