"""Processor time of this process and of those that it started, which count towards the cost as well."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

PPID, TIMES = 1, slice(11, 15)
"""Fields of ``/proc/PID/stat`` after the name: parent, and user and system time, its own and of its ended children."""


def cpu_seconds() -> float:
    """Returns the processor time, in seconds, of this process and its children, running or ended.

    Grandchildren count once they have ended. Without ``/proc``, so do the children.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(_running_children())


def _running_children() -> Iterator[float]:
    ticks = os.sysconf("SC_CLK_TCK")
    for child in _children():
        with contextlib.suppress(OSError):  # the process has just ended
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            if fields[PPID] == str(os.getpid()):
                yield sum(map(int, fields[TIMES])) / ticks


def _children() -> Iterator[str]:
    """Yields the numbers of the processes that may be children: all of them where the kernel does not list children."""
    own = list(Path("/proc/self/task").glob("*/children"))
    for listed in own:
        with contextlib.suppress(OSError):  # the thread has just ended
            yield from listed.read_text().split()
    if not own:
        yield from (folder.name for folder in Path("/proc").glob("[0-9]*"))
