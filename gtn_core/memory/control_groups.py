"""Memory that Linux control groups, of either version, leave to a process: its own group and all that contain it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Names(NamedTuple):
    limit: str
    usage: str
    cache: str


_FIRST = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_SECOND = _Names("memory.max", "memory.current", "inactive_file")


def bytes_left(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Returns the bytes that each group with a limit still leaves; inactive file cache counts as free.

    Args:
        root: Mount point of the groups.
        own: File that names the groups of this process.
    """
    left = []
    for folder, names in _groups(root, own):
        # A container does not see all of them; without a limit the file says "max".
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / names.limit).read_text())
            left.append(limit - int((folder / names.usage).read_text()) + _cached(folder, names))
    return left


def _groups(root: Path, own: Path) -> Iterator[tuple[Path, _Names]]:
    """Yields the folder and file names of each group that limits this process's memory, from its own upwards."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        group = Path(path.lstrip("/"))
        for each in (group, *group.parents):
            if not controllers:
                yield root / each, _SECOND
            elif "memory" in controllers.split(","):
                yield root / "memory" / each, _FIRST


def _cached(folder: Path, names: _Names) -> int:
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return int(stat.get(names.cache, 0))
