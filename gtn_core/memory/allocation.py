"""Memory of the machine: pages kept for the next step instead of faulted in again, the peak, and what an end of it looks like."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import resource
import sys
from pathlib import Path

import torch

from gtn_core.memory.control_groups import bytes_left

_M_TRIM_THRESHOLD = -1  # names and numbers of glibc's malloc.h
_M_MMAP_THRESHOLD = -3


@functools.cache
def reuse_pages() -> bool:
    """Tells glibc's allocator to keep freed blocks, which torch asks for again in the very next step.

    By default blocks over some megabytes go back to the system when freed, so that each inner step writes to fresh
    pages and pays a fault for every 4 KiB of them. The peak of memory stays the same.

    Returns:
        Whether this system has such an allocator.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30) and mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))


def peak_memory_mib() -> float:
    """Returns the largest resident memory that this process ever had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


_SIGNS = ("can't allocate memory", "out of memory", "alloc_failed", "bad_alloc")
"""Of torch's CPU allocator, CUDA, cuBLAS and cuDNN, and the C++ library."""


def is_out_of_memory(error: BaseException) -> bool:
    """Says whether an error means that memory could not be had, from Python's or torch's allocator of any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


def release_memory() -> None:
    """Gives back what nobody refers to any more, allocators' caches included."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def available_bytes(device: torch.device) -> int | None:
    """Returns the bytes that this process may still take on a device, or ``None`` where that is unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = bytes_left()
    with contextlib.suppress(OSError, ValueError, KeyError):
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        known.append(int(fields["MemAvailable"].split()[0]) * 1024)
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    with contextlib.suppress(OSError, ValueError):
        if limit != resource.RLIM_INFINITY:
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            known.append(limit - taken)
    return max(0, min(known)) if known else None
