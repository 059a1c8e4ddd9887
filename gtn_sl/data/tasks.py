"""The real image tasks and how one is loaded: the registry, the splits, the normalisation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gtn_core.errors import UsageError
from gtn_core.registry import Registry
from gtn_sl.data.cifar10 import load_cifar10
from gtn_sl.data.digits import load_digits
from gtn_sl.data.mnist import load_fashion_mnist, load_mnist
from gtn_sl.data.raw import RawImages
from gtn_sl.data.splits import stratified_indices


@dataclass(frozen=True)
class ImageTask:
    """A real image classification task, described without loading it.

    Attributes:
        name: Its name in ``TASKS``.
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

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

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


def load_task(name: str, data_dir: str | Path | None = None, *, download: bool = True, split_seed: int = 0) -> TaskData:
    """Loads a task and takes a class-stratified validation split out of its train set.

    Files that are in the data folder are used without any network.

    Args:
        name: A key of ``TASKS``.
        data_dir: Where the files are; ``None`` means ``GTN_DATA_DIR``, else the cache of the operating system.
        download: Whether absent files may be fetched.
        split_seed: Which validation split; the same seed draws the same images on every machine.

    Raises:
        UsageError: No such task, or a negative seed.
        DataError: A file is absent and cannot be fetched, or is damaged.
    """
    task = TASKS[name]
    if split_seed < 0:
        raise UsageError(f"split_seed must be at least 0, not {split_seed}")
    raw = task.load(None if data_dir is None else Path(data_dir), download)
    chosen = validation_indices(task, raw.train_labels, split_seed)
    held_out = np.zeros(len(raw.train_labels), bool)
    held_out[chosen] = True
    return TaskData(
        task,
        train=_split(raw.train_images[~held_out], raw.train_labels[~held_out]),
        validation=_split(raw.train_images[held_out], raw.train_labels[held_out]),
        test=_split(raw.test_images, raw.test_labels),
    )


def validation_indices(task: ImageTask, train_labels: NDArray[np.int64], split_seed: int) -> NDArray[np.int64]:
    """Returns which train images ``load_task`` sets aside for validation, ascending."""
    return stratified_indices(train_labels, task.validation_size, f"{task.name}/validation", split_seed)


def _split(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


TASKS: Registry[ImageTask] = Registry("task")
"""Every real image task by name."""

_TEN_DIGITS = tuple("0123456789")


def _register(task: ImageTask) -> None:
    TASKS.register(task.name)(task)


_register(
    ImageTask(
        name="digits",
        title="Digits 8x8",
        image_shape=(1, 8, 8),
        class_names=_TEN_DIGITS,
        mean=(0.30480,),  # over the 1200 images outside the test set; tests/gtn_sl/test_data_tasks.py computes it
        std=(0.37558,),
        train_size=1200,
        test_size=597,
        validation_size=200,
        source="comes with scikit-learn, no file needed",
        licence="CC BY 4.0; Alpaydin & Kaynak 1998, UCI optical recognition of handwritten digits (its test part)",
        load=load_digits,
    )
)
_register(
    ImageTask(
        name="mnist",
        title="MNIST",
        image_shape=(1, 28, 28),
        class_names=_TEN_DIGITS,
        mean=(0.13066,),  # over the 60,000 official train images, as for the tasks below
        std=(0.30811,),
        train_size=60_000,
        test_size=10_000,
        validation_size=5_000,
        source="four idx files, 12 MB, downloaded from the ossci-datasets mirror where absent",
        licence="CC BY-SA 3.0; LeCun, Cortes & Burges 1998",
        load=load_mnist,
    )
)
_register(
    ImageTask(
        name="fashion-mnist",
        title="Fashion-MNIST",
        image_shape=(1, 28, 28),
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        mean=(0.28604,),
        std=(0.35302,),
        train_size=60_000,
        test_size=10_000,
        validation_size=5_000,
        source="four idx files, 31 MB, downloaded from Zalando's bucket where absent",
        licence="MIT; Xiao, Rasul & Vollgraf 2017",
        load=load_fashion_mnist,
    )
)
_register(
    ImageTask(
        name="cifar10",
        title="CIFAR-10",
        image_shape=(3, 32, 32),
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        train_size=50_000,
        test_size=10_000,
        validation_size=5_000,
        source="cifar-10-binary.tar.gz, 170 MB, downloaded from cs.toronto.edu where absent",
        licence="no licence stated; cite Krizhevsky 2009, Learning multiple layers of features from tiny images",
        load=load_cifar10,
    )
)
