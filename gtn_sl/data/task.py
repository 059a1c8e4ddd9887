"""A real image task, and its data once loaded: shapes, classes, splits, normalisation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gtn_sl.data.raw import RawImages


@dataclass(frozen=True)
class ImageTask:
    """A real image classification task, described without loading it.

    Attributes:
        name: Name that ``find_task`` finds it by.
        title: Name for people to read.
        image_shape: (C, H, W).
        class_names: One per class, in label order.
        mean: Mean per channel over the train set (validation images included), for pixels in [0, 1].
        std: Standard deviation per channel, likewise.
        train_size: Images in the train set, before the validation split is taken from it.
        test_size: Images in the test set.
        validation_size: Number of train images set aside for validation.
        source: How it is obtained, in one line.
        licence: Licence and origin, in one line.
        load: Takes ``(data_dir, download)``; returns the train and test sets as published.
        digest: Twelve hex digits that depend on a user's own images and on the size of their validation split; ``None``
            for other tasks.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_size: int
    test_size: int
    validation_size: int
    source: str
    licence: str
    load: Callable[[Path | None, bool], RawImages]
    digest: str | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def slug(self) -> str:
        """Its name as a part of a file name: a file's without folders and suffix, a module's without the colon."""
        return Path(self.name).name.removesuffix(".npz").replace(":", "-")

    @property
    def split_name(self) -> str:
        """Name that subsets of the train images are drawn under; it does not depend on where a user's own file is."""
        return "own" if self.digest else self.name

    def identity(self) -> dict[str, Any]:
        """Returns what distinguishes the task from others, or from other images of the same name, as JSON values."""
        return {"task": self.name} | ({"data": self.digest} if self.digest else {})

    def facts(self) -> dict[str, Any]:
        """Returns the description of the task in a file's header, as JSON values."""
        return {
            "task": self.name,
            "image_shape": list(self.image_shape),
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @property
    def value_range(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Least and greatest value of a normalised pixel, float32, each (C,)."""
        extremes = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, self.image_shape[0], 1, 1)
        low, high = self.normalise(extremes).flatten(1)
        return low, high

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Returns ``(images / 255 - mean) / std``.

        Args:
            images: uint8, (..., C, H, W).

        Returns:
            float32, the same shape and device.

        Raises:
            TypeError: The images are not uint8: they may have been normalised already.
            ValueError: The images have another number of channels.
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"normalise expects uint8 images, not {images.dtype}")
        mean, std = self._per_channel(images)
        return images.to(torch.float32).div_(255.0).sub_(mean).div_(std)

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """Returns pictures with pixels in [0, 1], clamped, from normalised float images (..., C, H, W)."""
        mean, std = self._per_channel(images)
        return (images * std + mean).clamp(0.0, 1.0)

    def _per_channel(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and std, (C, 1, 1), after checking the number of channels."""
        channels = self.image_shape[0]
        if images.ndim < 3 or images.shape[-3] != channels:
            raise ValueError(f"{self.name} images must be (..., {channels}, H, W), not {tuple(images.shape)}")
        return _constants(self.mean, self.std, images.device)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # the cached tensors may later be used in training
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns mean and std on a device, each (C, 1, 1); copied there once."""
    both = torch.tensor([mean, std], dtype=torch.float32, device=device)
    return both[0].view(-1, 1, 1), both[1].view(-1, 1, 1)


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, stored as bytes: normalise on use.

    Attributes:
        images: uint8, (N, C, H, W).
        labels: int64, (N,).
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> Split:
        """Returns the same split on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class TaskData:
    """A loaded task.

    Attributes:
        task: The task.
        train: Images that a teacher may learn from.
        validation: Held out of the train set, for choosing hyper-parameters and checkpoints.
        test: The test set, for final figures only.
    """

    task: ImageTask
    train: Split
    validation: Split
    test: Split

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """See ``ImageTask.normalise``."""
        return self.task.normalise(images)

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """See ``ImageTask.denormalise``."""
        return self.task.denormalise(images)
