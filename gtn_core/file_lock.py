"""A file that one process at a time holds; the system releases it when that process ends, however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from gtn_core.errors import GTNError


def held_file(path: Path, busy: str | None = None) -> IO[str]:
    """Locks a file for this process until the returned file is closed.

    Args:
        path: The file; created if it does not exist, in an existing folder.
        busy: Error message if another process holds it; ``None`` waits until that process releases it.

    Raises:
        GTNError: Another process holds it, or it cannot be written.
    """
    try:
        file = path.open("w")
    except OSError as error:
        raise GTNError(f"cannot write {error.filename}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError) and busy:
            raise GTNError(busy) from None
        raise GTNError(f"cannot lock {path}: {error.strerror}; put it on a file system that supports locks") from error
    return file
