"""The real image tasks by name, including a user's own, and how they are loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gtn_core.errors import UsageError
from gtn_core.imported import import_named
from gtn_core.registry import Registry
from gtn_sl.data.cifar10 import load_cifar10
from gtn_sl.data.digits import load_digits
from gtn_sl.data.mnist import load_fashion_mnist, load_mnist
from gtn_sl.data.own import task_of_file
from gtn_sl.data.splits import stratified_indices
from gtn_sl.data.task import ImageTask, Split, TaskData


def find_task(name: str) -> ImageTask:
    """Finds a task by its name.

    Args:
        name: A key of ``TASKS``, a user's own task as ``module:attribute``, or the path of an ``.npz`` file (see
            ``gtn_sl.data.own``).

    Returns:
        The task; its name finds it again, from any folder.

    Raises:
        UsageError: There is no such task, or the name stands for something else.
        DataError: The file is missing, or is not a data set.
    """
    if is_file(name):
        return task_of_file(Path(whole_name(name)))
    if ":" not in name:
        if name not in TASKS and Path(name).exists():
            raise UsageError(
                f"{name} is not a task: give your own images as an .npz file, or module:name (docs/own-images.md)"
            )
        return TASKS[name]
    found = import_named("image task", name)
    if not isinstance(found, ImageTask):
        raise UsageError(
            f"{name!r} is a {type(found).__name__}, not an ImageTask; gtn_sl.data.image_task makes one from arrays"
        )
    return dataclasses.replace(found, name=name)


def whole_name(name: str) -> str:
    """Returns the name that finds a task from any folder; for a file, its absolute path, however it was written."""
    return str(Path(name).parent.resolve() / Path(name).name) if is_file(name) else name


def is_file(name: str) -> bool:
    """Returns whether a task's name is the path of a file."""
    return name.endswith(".npz")


def is_own(name: str) -> bool:
    """Returns whether a task's name has the form of a user's own; it need not exist."""
    return is_file(name) or ":" in name


def names_images(name: str) -> bool:
    """Returns whether a name stands for images, when it may also be the id of an environment, ``package:id``."""
    if not is_own(name):
        return name in TASKS
    if is_file(name):
        return True
    try:
        return isinstance(import_named("image task", name), ImageTask)
    except UsageError:
        return False


def load_task(name: str, data_dir: str | Path | None = None, *, download: bool = True, split_seed: int = 0) -> TaskData:
    """Loads a task and takes a class-stratified validation split out of its train set.

    Files in the data folder are used without network access.

    Args:
        name: As in ``find_task``.
        data_dir: Folder of the files; ``None`` means ``GTN_DATA_DIR``, else the cache of the operating system.
        download: Whether missing files may be downloaded.
        split_seed: Seed of the validation split; it draws the same images on every machine.

    Raises:
        UsageError: There is no such task, or the seed is negative.
        DataError: A file is missing and cannot be downloaded, or is damaged.
    """
    task = find_task(name)
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
    """Returns the indices of the train images that ``load_task`` sets aside for validation, ascending."""
    return stratified_indices(train_labels, task.validation_size, f"{task.split_name}/validation", split_seed)


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
        source="four idx files, 12 MB, downloaded from the ossci-datasets mirror if missing",
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
        source="four idx files, 31 MB, downloaded from Zalando's bucket if missing",
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
        source="cifar-10-binary.tar.gz, 170 MB, downloaded from cs.toronto.edu if missing",
        licence="no licence stated; cite Krizhevsky 2009, Learning multiple layers of features from tiny images",
        load=load_cifar10,
    )
)
