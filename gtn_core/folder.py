"""Making a folder that the user named. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from gtn_core.errors import UsageError


def make_folder(path: Path) -> Path:
    """Makes a folder, and those above it, where they are not there.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}") from error
    return path
