"""Memory pages on the CPU: kept for the next step instead of returned to the system and faulted in again."""

from __future__ import annotations

import ctypes
import functools
import resource
import sys

_M_TRIM_THRESHOLD = -1  # names and numbers of glibc's malloc.h
_M_MMAP_THRESHOLD = -3


@functools.cache
def reuse_pages() -> bool:
    """Tells glibc's allocator to keep freed blocks, which torch asks for again in the very next step.

    By default blocks over some megabytes go back to the system when freed, so that each inner step writes to fresh pages and
    pays a fault for every 4 KiB of them. The peak of memory stays the same.

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
