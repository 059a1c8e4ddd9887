"""Checks that a data file is whole and what its name promises; a failure is a one-line ``DataError`` with a remedy."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gtn_core.errors import DataError


def get_command(task: str) -> str:
    """Returns the command that downloads a task's files, quoted for a message."""
    return f"`gtn-cli tasks --download {task}`"


def damaged(path: Path, what: str, task: str) -> DataError:
    """Returns the error for a file that is present but wrong.

    Args:
        path: The file or folder.
        what: What was expected and what was found.
        task: The task it belongs to.
    """
    return DataError(f"{path} is damaged: {what}; delete it and run {get_command(task)}")


def read_bytes(path: Path) -> bytes:
    """Returns the content of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def check_md5(content: bytes, md5: str, path: Path, task: str) -> None:
    """Checks that a file holds the published bytes.

    Raises:
        DataError: The md5 differs.
    """
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise damaged(path, f"expected md5 {md5}, found {found} ({len(content)} bytes)", task)


def check_labels(labels: NDArray[np.int64], images: int, classes: int, path: Path, task: str) -> None:
    """Checks that there is one label per image and that each label is a class.

    Args:
        labels: The labels, (N,).
        images: Number of images.
        classes: Number of classes; labels must be 0 to classes - 1.
        path: The file that the labels came from.
        task: The task it belongs to.

    Raises:
        DataError: The number of labels or a label is wrong.
    """
    if len(labels) != images:
        raise damaged(path, f"expected {images} labels, one per image, found {len(labels)}", task)
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise damaged(path, f"expected labels 0 to {classes - 1}, found {wrong}", task)
