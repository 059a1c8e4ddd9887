"""A user's own images as a task, from arrays or from an ``.npz`` file."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gtn_core.errors import DataError
from gtn_sl.data.raw import RawImages
from gtn_sl.data.task import ImageTask

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
"""Arrays in a task's ``.npz`` file; ``class_names`` is optional."""

CHANNELS = (1, 3)

UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""Raised by numpy and zipfile for a file that is no archive, damaged or encrypted; ValueError also for objects."""


def image_task(
    title: str,
    train_images: ArrayLike,
    train_labels: ArrayLike,
    test_images: ArrayLike,
    test_labels: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    validation_size: int | None = None,
    source: str = "a user's own",
    licence: str = "not stated",
) -> ImageTask:
    """Makes a task from arrays, for ``--task my_package:my_task``.

    Args:
        title: Name for tables and pictures.
        train_images: uint8, (N, H, W), (N, C, H, W) or (N, H, W, C) with one or three channels. All generators except
            ``pixels`` need sides that are multiples of 4.
        train_labels: Integers from 0, (N,), at least two of each class.
        test_images: uint8, (M, ...), of the same shape.
        test_labels: Integers from 0, (M,).
        class_names: Names in label order; ``None`` takes the numbers.
        validation_size: Number of train images set aside for validation; ``None`` takes a sixth, at most 5,000.
        source: See ``ImageTask``.
        licence: See ``ImageTask``.

    Raises:
        DataError: The arrays are not a data set: types, shapes, labels, class names or sizes do not fit.
    """
    train, test = _images("train_images", train_images), _images("test_images", test_images)
    of_train = _labels("train_labels", train_labels, len(train))
    of_test = _labels("test_labels", test_labels, len(test))
    names = tuple(map(str, range(of_train.max() + 1) if class_names is None else class_names))
    if len(names) < 2:
        raise DataError(f"a task needs at least two classes; given: {names[0] if names else 'none'}")
    if len(set(names)) < len(names):
        raise DataError(f"class names must be distinct, got {', '.join(names)}")
    highest = max(of_train.max(), of_test.max())
    if highest >= len(names):
        raise DataError(f"labels go up to {highest}, but the classes are 0 to {len(names) - 1}")
    if test.shape[1:] != train.shape[1:]:
        raise DataError(f"test_images have the shape {test.shape[1:]} each, but train_images {train.shape[1:]}")
    rare = np.flatnonzero(np.bincount(of_train, minlength=len(names)) < 2)
    if rare.size:  # its only image might be set aside for validation
        raise DataError(f"train_labels have fewer than two images of the class {names[rare[0]]}")
    held_out = min(5_000, max(1, len(train) // 6)) if validation_size is None else validation_size
    if not 0 < held_out <= len(train) // 2:
        raise DataError(f"cannot set aside {held_out} of {len(train)} training images for validation; at most half")
    given, (mean, std) = RawImages(train, of_train, test, of_test), _moments(train)
    raw = RawImages(*_mixed(train, of_train), *_mixed(test, of_test))
    return ImageTask(
        name=title,
        title=title,
        image_shape=(train.shape[1], train.shape[2], train.shape[3]),
        class_names=names,
        mean=mean,
        std=std,
        train_size=len(train),
        test_size=len(test),
        validation_size=held_out,
        source=source,
        licence=licence,
        load=functools.partial(_given, raw),
        digest=_digest(given, held_out),
    )


def _given(raw: RawImages, data_dir: Path | None, download: bool) -> RawImages:
    """Returns images that are in memory; see ``ImageTask.load``."""
    return raw


def task_of_file(path: Path) -> ImageTask:
    """Makes a task from an ``.npz`` file with the arrays that ``image_task`` takes, under the same names.

    Args:
        path: Absolute path, which becomes the task's name.

    Raises:
        DataError: The file is missing or not an ``.npz`` file, or its arrays are not a data set.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"cannot read the images {path}: {error.strerror}") from error
    try:
        return _task_of_file(path, (found.st_mtime_ns, found.st_size, found.st_ino))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


@functools.lru_cache(maxsize=2)
def _task_of_file(path: Path, version: tuple[int, int, int]) -> ImageTask:
    """Reads a file, cached until its ``version`` differs: modification time, size and inode."""
    try:
        with path.open("rb") as stream:
            arrays = _arrays(stream)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    except UNREADABLE as error:
        raise DataError("not a readable .npz file of arrays") from error
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise DataError(
            f"missing {', '.join(missing)}; the file must hold {', '.join(ARRAYS)} and, optionally, class_names"
        )
    named = arrays.pop("class_names", None)
    names = None if named is None else [_text(name) for name in named.ravel().tolist()]
    return dataclasses.replace(image_task(path.stem, **arrays, class_names=names, source="a file"), name=str(path))


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _arrays(stream: BinaryIO) -> dict[str, Any]:
    """Returns the arrays of a task that are in a file."""
    if not zipfile.is_zipfile(stream):
        raise zipfile.BadZipFile
    with np.load(stream) as file:
        return {name: _array(file, name) for name in (*ARRAYS, "class_names") if name in file}


def _array(file: Any, name: str) -> Any:
    try:
        return file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        what = "strings, as np.array(names, dtype=str)" if name == "class_names" else "numbers"
        raise DataError(f"{name} is an array of Python objects; save {what}") from error


def _images(what: str, given: ArrayLike) -> NDArray[np.uint8]:
    """Returns the images as a copy, (N, C, H, W)."""
    images = np.asarray(given)
    if images.dtype != np.uint8:
        raise DataError(f"{what} must be uint8, with pixels from 0 to 255, not {images.dtype}")
    if not len(images.ravel()):
        raise DataError(f"{what} are empty: their shape is {images.shape}")
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in CHANNELS:
        shape = np.asarray(given).shape
        raise DataError(
            f"{what} must have the shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C of 1 or 3, not {shape}"
        )
    return np.array(images, order="C")  # a copy: later changes to the user's array must not change the task


def _labels(what: str, given: ArrayLike, images: int) -> NDArray[np.int64]:
    """Returns the labels, (N,), one per image."""
    labels = np.asarray(given)
    if labels.dtype.kind not in "iu" or labels.shape != (images,) or labels.min() < 0:
        raise DataError(
            f"{what} must hold an integer of at least 0 for each of {images} images, not {labels.dtype} of shape {labels.shape}"
        )
    return labels.astype(np.int64)


def _mixed(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns images and labels in a fixed random order that depends only on how many there are.

    Files are often sorted by class, and parts of a split are taken from its start.
    """
    order = np.argsort(np.random.PCG64(0).random_raw(len(labels)), kind="stable")  # same in every numpy version
    return images[order], labels[order]


def _digest(raw: RawImages, validation_size: int) -> str:
    content = hashlib.sha256(f"mixed {validation_size}".encode())
    for array in vars(raw).values():
        content.update(f"{array.dtype} {array.shape}".encode())
        content.update(array)
    return content.hexdigest()[:12]


def _moments(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation per channel, for pixels in [0, 1], without copying all images."""
    levels = np.arange(256) / 255
    parts = np.array_split(images, max(1, len(images) // 1000))
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = sum(np.bincount(part[:, channel].ravel(), minlength=256) for part in parts)
        mean = float(np.average(levels, weights=counts))
        means.append(round(mean, 5))
        stds.append(round(float(np.average((levels - mean) ** 2, weights=counts)) ** 0.5, 5))
    if not all(stds):
        raise DataError("all pixels of a channel of train_images are the same")
    return tuple(means), tuple(stds)
