"""A file that one process at a time holds, which the system frees when that one ends, however it does."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from gtn_core.errors import GTNError


def held_file(path: Path, busy: str | None = None) -> IO[str]:
    """Takes a file for this process until what is returned is closed.

    Args:
        path: The file, made where it is not there; its folder is.
        busy: What to say where another process has it; ``None`` waits until that one gives it back.

    Raises:
        GTNError: Another process has it, or it cannot be written.
    """
    try:
        file = path.open("w")
    except OSError as error:
        raise GTNError(f"cannot write {error.filename}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
    except BlockingIOError:
        file.close()
        raise GTNError(busy) from None
    return file
