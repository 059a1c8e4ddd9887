"""Folders that the user named: creates them, and checks early that this will be possible. Imports no torch."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gtn_core.errors import UsageError


def make_folder(path: Path) -> Path:
    """Creates a folder and its parents if they do not exist, and returns it.

    Raises:
        UsageError: The folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create the folder {path}: {error.strerror}") from error
    return path


def obstacle(path: Path) -> str | None:
    """Returns why no file can be written to a folder, or to one that would have to be created; ``None`` if one can.

    Creates nothing, so that a command may ask before it has checked its other arguments.
    """
    nearest = next(place for place in (path, *path.absolute().parents) if os.path.exists(place))
    if not nearest.is_dir():
        return os.strerror(errno.ENOTDIR)
    return None if os.access(nearest, os.R_OK | os.W_OK | os.X_OK) else os.strerror(errno.EACCES)


def refuse_other_files(path: Path, own: str) -> None:
    """Checks that a folder is new or empty, or holds the file ``own``.

    Raises:
        UsageError: It holds other files.
    """
    if path.is_dir() and not (path / own).is_file() and any(path.iterdir()):
        raise UsageError(f"{path} already holds other files; --out must be new or empty")
