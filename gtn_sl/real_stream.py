"""Real data sets as the data streams of ``gtn_envs``: the entry points of ``GTN-MNIST-Real-v0`` and the like."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from gtn_core.errors import unknown_name
from gtn_envs import DataStream, DataStreamEnv, DataStreamVectorEnv, make_stream
from gtn_sl.data import find_task, load_task

SPLITS = ("train", "validation", "test")


def make_real_stream(
    task: str, *, split: str = "train", data_dir: str | None = None, download: bool = False, **kwargs: Any
) -> DataStreamEnv:
    """Makes the environment of a real data set; an episode is the whole split, in random order.

    Args:
        task: As in ``gtn_sl.data.find_task``.
        split: ``"train"``, ``"validation"`` or ``"test"``; the default is to train in, so evaluate with ``"test"``.
        data_dir: Folder of the image files; None for GTN_DATA_DIR, else the user's cache.
        download: Whether missing files may be downloaded; off by default, unlike in ``load_task``.
        **kwargs: Passed to ``DataStreamEnv``.

    Raises:
        UsageError: There is no such task or split.
        DataError: A file is missing or damaged.
    """
    return DataStreamEnv(real_stream(task, split, data_dir, download=download), **kwargs)


def make_real_vector_stream(
    task: str,
    num_envs: int = 1,
    *,
    split: str = "train",
    data_dir: str | None = None,
    download: bool = False,
    **kwargs: Any,
) -> DataStreamVectorEnv:
    """Makes the native vector version of ``make_real_stream``.

    Args:
        task: See ``make_real_stream``.
        num_envs: Number of copies.
        split: See ``make_real_stream``.
        data_dir: See ``make_real_stream``.
        download: See ``make_real_stream``.
        **kwargs: Passed to ``DataStreamVectorEnv``.

    Raises:
        UsageError: There is no such task or split.
        DataError: A file is missing or damaged.
    """
    return DataStreamVectorEnv(real_stream(task, split, data_dir, download=download), num_envs, **kwargs)


def real_stream(task: str, split: str, data_dir: str | Path | None = None, *, download: bool = False) -> DataStream:
    """Returns one split of a real data set as a stream: a single batch of all its images.

    The last few splits are cached, so that copies share them.

    Raises:
        UsageError: There is no such task or split.
        DataError: A file is missing or damaged.
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    return _load(find_task(task).digest, task, split, None if data_dir is None else str(data_dir), download)


@functools.lru_cache(maxsize=4)
def _load(digest: str | None, task: str, split: str, data_dir: str | None, download: bool) -> DataStream:
    data = load_task(task, data_dir, download=download)
    chosen, described = getattr(data, split), data.task
    one_hot = np.eye(described.classes, dtype=np.float16)
    document = {
        **(described.identity() | {"task": task}),
        "class_names": list(described.class_names),
        "mean": list(described.mean),
        "std": list(described.std),
        "split": split,
    }
    images = chosen.images.permute(0, 2, 3, 1).numpy()
    return make_stream(images[None], one_hot[chosen.labels.numpy()][None], document, source=f"{task} ({split})")
