"""Creates a folder that the user named. Imports no torch."""

from __future__ import annotations

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
