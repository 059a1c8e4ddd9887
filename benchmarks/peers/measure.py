"""Runs in a subprocess: measures one method, or compares all methods in float64. Prints one line of JSON.

Run as ``python -m peers.measure '<request as JSON>'`` from ``benchmarks/``. The request is either ``{"task": {...},
"threads": ..., "reuse_pages": ..., "seconds": ...}`` or ``{"agreement": [methods], "learner": ..., "form": ...,
"threads": ...}``.
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gtn_core.memory.allocation import available_bytes, is_out_of_memory, reuse_pages
from gtn_sl.peers import METHODS, Gradients, Task, Work

MIB = 2**20


def measure(task: Task, *, seconds: float) -> dict[str, Any]:
    """Measures the time and memory of a meta-gradient, which is computed repeatedly until ``seconds`` have passed.

    Returns:
        ``seconds`` and ``cpu_seconds`` (of all threads): median over the calls, without the first if there are more.
        ``peak_mb``: increase of the peak resident size by the first call, after a small warm-up, in MiB. ``calls``:
        number of calls. If memory ran out or the result is not finite, only ``error``.
    """
    method = METHODS[task.method]
    _limit_memory()
    try:
        method.run(Work(replace(task, steps=2, batch=2), shared_momentum=method.shared_momentum))
        work = Work(task, shared_momentum=method.shared_momentum)
        gc.collect()
        before, wall, cpu, peak = _peak_rss(), list[float](), list[float](), 0
        while not wall or sum(wall) < seconds:
            start = time.perf_counter(), time.process_time()
            found = method.run(work)
            wall.append(time.perf_counter() - start[0])
            cpu.append(time.process_time() - start[1])
            peak = peak or _peak_rss() - before
            finite = all(bool(part.isfinite().all()) for part in found)
            del found
            gc.collect()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return {"error": "out of memory"}
    if not finite:
        return {"error": "the meta-gradient is not finite"}
    return {
        "seconds": statistics.median(wall[1:] or wall),
        "cpu_seconds": statistics.median(cpu[1:] or cpu),
        "peak_mb": peak / MIB,
        "calls": len(wall),
    }


def agreement(names: list[str], learner: str, form: str) -> dict[str, dict[str, float]]:
    """Returns each method's relative difference from plain autograd by gradient, for 4 steps of batch 8 in float64."""
    found = {}
    for name in names:
        task = Task(name, learner, form, steps=4, batch=8, precision="fp64", layout="contiguous")
        work = Work(task, shared_momentum=METHODS[name].shared_momentum)
        expected, got = METHODS["autograd"].run(work), METHODS[name].run(work)
        found[name] = {
            part: ((getattr(got, part) - getattr(expected, part)).norm() / getattr(expected, part).norm()).item()
            for part in Gradients._fields
        }
    return found


def _peak_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit_memory() -> None:
    """Makes an allocation beyond the available memory raise an error that can be reported, not end the process."""
    available = available_bytes(torch.device("cpu"))
    if available is not None:
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + int(0.9 * available), resource.RLIM_INFINITY))


def main() -> None:
    """Answers the request in the only command-line argument."""
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    answer: dict[str, Any]
    if "task" in request:
        if request["reuse_pages"]:
            reuse_pages()
        answer = measure(Task(**request["task"]), seconds=request["seconds"])
    else:
        answer = agreement(request["agreement"], request["learner"], request["form"])
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
