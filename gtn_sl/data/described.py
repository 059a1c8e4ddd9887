"""A user's own images as described by the header of a file, and a comparison with those found now."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gtn_core.errors import DataError
from gtn_sl.data.own import CHANNELS
from gtn_sl.data.raw import RawImages
from gtn_sl.data.task import ImageTask
from gtn_sl.data.tasks import find_task, is_file

log = logging.getLogger(__name__)


def described_task(header: Mapping[str, Any]) -> ImageTask:
    """Returns the task that a header describes by ``ImageTask.facts``; images are looked for only when they are loaded.

    Raises:
        DataError: The header does not describe a task.
        KeyError: An entry is missing.
    """
    name, shape, names = header["task"], header["image_shape"], header["class_names"]
    if not isinstance(shape, list) or [type(size) for size in shape] != [int] * 3:
        raise DataError(f"image_shape must be three integers, not {shape}")
    channels, height, width = shape
    if channels not in CHANNELS or height < 1 or width < 1:
        raise DataError(f"image_shape must be one or three channels, height and width, not {shape}")
    if (
        not isinstance(names, list)
        or not all(isinstance(each, str) for each in names)
        or not 2 <= len(set(names)) == len(names)
    ):
        raise DataError(f"class_names must be at least two distinct names, not {names}")
    mean, std = (_of_channels(key, header[key], channels) for key in ("mean", "std"))
    if min(std) <= 0:
        raise DataError(f"std must be above 0, not {list(std)}")
    return ImageTask(
        name=name,
        title=Path(name).stem if is_file(name) else name,
        image_shape=(channels, height, width),
        class_names=tuple(names),
        mean=mean,
        std=std,
        train_size=0,
        test_size=0,
        validation_size=0,
        source="as a file's header describes it",
        licence="not stated",
        load=functools.partial(_images_of, name),
    )


def _images_of(name: str, data_dir: Path | None, download: bool) -> RawImages:
    """Looks for a task and loads its images; see ``ImageTask.load``."""
    return find_task(name).load(data_dir, download)


def compare_images(task: ImageTask, described: ImageTask, user: str) -> None:
    """Warns if a task's images have changed since a header described them.

    Args:
        task: The task as it is now.
        described: The task as the header describes it.
        user: What was made for the described images, for messages.

    Raises:
        DataError: The shape or the number of classes differs.
    """
    if (task.image_shape, task.classes) != (described.image_shape, described.classes):
        raise DataError(
            f"the images of {task.name} are {task.image_shape} in {task.classes} classes, but {user} was made for"
            f" {described.image_shape} in {described.classes}"
        )
    for key, before in described.facts().items():
        now = task.facts()[key]
        if key != "task" and now != before:
            log.warning(
                "the images of %s have changed since %s was made: %s %s, now %s", task.name, user, key, before, now
            )


def _of_channels(key: str, values: Any, channels: int) -> tuple[float, ...]:
    """Returns one finite number per channel."""
    if not isinstance(values, list) or not all(
        isinstance(value, (int, float)) and math.isfinite(value) for value in values
    ):
        raise DataError(f"{key} must be a list of numbers, not {values}")
    if len(values) != channels:
        raise DataError(f"{key} has the values {values}, but images have {channels} channels")
    return tuple(map(float, values))
