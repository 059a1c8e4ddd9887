"""What a real image task is, and its data once they are loaded: shapes, classes, splits, normalisation."""

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
        name: What ``find_task`` finds it by.
        title: What to call it in a text for people.
        image_shape: (C, H, W).
        class_names: One per class, in label order.
        mean: Per channel, over the train set (validation images included), where a pixel is in [0, 1].
        std: Per channel, likewise.
        train_size: Images in the train set, before the validation split is taken out of it.
        test_size: Images in the test set.
        validation_size: How many of the train images are set aside for validation.
        source: How it is obtained, one line.
        licence: Licence and origin, one line.
        load: ``(data_dir, download)`` -> the train and test sets as published.
        digest: Of a user's own images, twelve hex digits that change with them and with the size of their validation split.
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
        """How many classes there are."""
        return len(self.class_names)

    @property
    def slug(self) -> str:
        """Its name as a part of a file's: without the folders of a file, or the colon of a module."""
        return Path(self.name).name.removesuffix(".npz").replace(":", "-")

    @property
    def split_name(self) -> str:
        """What subsets of its train images are drawn under; a user's own have the same ones wherever their file lies."""
        return "own" if self.digest else self.name

    def identity(self) -> dict[str, Any]:
        """Returns what tells results on it from those on another task, or on other images of its name, as JSON values."""
        return {"task": self.name} | ({"data": self.digest} if self.digest else {})

    def facts(self) -> dict[str, Any]:
        """Returns what the header of a file says of the task that it is for, as JSON values."""
        return {
            "task": self.name,
            "image_shape": list(self.image_shape),
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @property
    def value_range(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The least and the greatest value that a normalised pixel takes, float32, each (C,)."""
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
        """
        if images.dtype != torch.uint8:
            raise TypeError(f"normalise takes uint8 images, not {images.dtype}")
        mean, std = self._per_channel(images)
        return images.to(torch.float32).div_(255.0).sub_(mean).div_(std)

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """Returns pictures with pixels in [0, 1], clamped, from normalised float images (..., C, H, W)."""
        mean, std = self._per_channel(images)
        return (images * std + mean).clamp(0.0, 1.0)

    def _per_channel(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and std, (C, 1, 1), once the images are known to have as many channels."""
        channels = self.image_shape[0]
        if images.ndim < 3 or images.shape[-3] != channels:
            raise ValueError(f"{self.name} images are (..., {channels}, H, W), not {tuple(images.shape)}")
        return _constants(self.mean, self.std, images.device)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept may serve a training next
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns mean and std on a device, each (C, 1, 1); copied there once."""
    both = torch.tensor([mean, std], dtype=torch.float32, device=device)
    return both[0].view(-1, 1, 1), both[1].view(-1, 1, 1)


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, kept as bytes: normalise on use.

    Attributes:
        images: uint8, (N, C, H, W).
        labels: int64, (N,).
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.labels)

    def to(self, device: torch.device | str) -> Split:
        """Returns the same split on another device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class TaskData:
    """A loaded task.

    Attributes:
        task: What it is.
        train: What a teacher may learn from.
        validation: Held out of the train set; hyper-parameters and checkpoints are chosen on it.
        test: The test set, untouched; for the final figure only.
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
