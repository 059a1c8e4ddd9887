"""Memory of the machine: pages kept for the next step, the peak, what is available, and errors when it runs out."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from gtn_core.memory.control_groups import bytes_left

_M_TRIM_THRESHOLD = -1  # names and values from glibc's malloc.h
_M_MMAP_THRESHOLD = -3


@functools.cache
def reuse_pages() -> bool:
    """Makes glibc's allocator keep freed blocks, which torch requests again in the very next step.

    By default, blocks above some megabytes return to the system when freed, so that each inner step writes to fresh
    pages and pays a fault for every 4 KiB of them. Peak memory stays the same.

    Returns:
        Whether this system has such an allocator.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    # Before version 2.35 or so, glibc accepts at most 32 MiB: fewer blocks are kept then.
    mapped = mallopt(_M_MMAP_THRESHOLD, 1 << 30) or mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    return bool(mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1) and mapped)


def peak_memory_mib() -> float:
    """Returns the peak resident memory of this process, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


_SIGNS = ("can't allocate memory", "out of memory", "alloc_failed", "bad_alloc")
"""Parts of the messages of torch's CPU allocator, CUDA, cuBLAS and cuDNN, and the C++ library, in lower case."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means that Python or torch could not allocate memory, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


_CLEARED: list[Callable[[], None]] = []


def clear_on_release(clear: Callable[[], None]) -> None:
    """Lets ``release_memory`` call what clears a cache, e.g. ``cache_clear`` of a function with ``lru_cache``."""
    _CLEARED.append(clear)


def release_memory() -> None:
    """Frees everything that is no longer referenced, including caches: the allocators', and those of ``clear_on_release``."""
    for clear in _CLEARED:
        clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def available_bytes(device: torch.device) -> int | None:
    """Returns the bytes that this process may still allocate on a device, or ``None`` if that is unknown."""
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
