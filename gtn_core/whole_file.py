"""Files that are written whole or not at all. Imports no torch.

A file is written under a temporary name, flushed to disk and renamed, so that a reader sees either the old file or the
new one, never a part.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gtn_core.errors import GTNError, UsageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that atomically replaces ``path`` if the block succeeds, and leaves nothing behind otherwise.

    Raises:
        GTNError: The file cannot be written; any file at ``path`` is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise GTNError(f"cannot write {path}: {error.strerror or error}") from error


def require_writable(path: Path) -> None:
    """Checks, before any work, that a file can be written.

    Args:
        path: The file; its folder is created if it does not exist.

    Raises:
        UsageError: The file cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    trial = path.with_name(f".{path.name}.{os.getpid()}.trial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    """Flushes a rename to disk; does nothing where a folder cannot be opened for that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
