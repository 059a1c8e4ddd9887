"""Real data sets as the data streams of ``gtn_envs``: the entry points of ``GTN-MNIST-Real-v0`` and its like."""

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
    """Makes a real data set's environment; an episode is the whole split, in random order.

    Args:
        task: As in ``gtn_sl.data.find_task``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        data_dir: Folder of the image files; None for GTN_DATA_DIR, else the user's cache.
        download: Whether absent files may be fetched; not by default, unlike ``load_task``.
        **kwargs: Of ``DataStreamEnv``.

    Raises:
        UsageError: There is no such task or split.
        DataError: A file is absent, or damaged.
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
    """Makes the native vector form of ``make_real_stream``.

    Args:
        task: As there.
        num_envs: Copies.
        split: As there.
        data_dir: As there.
        download: As there.
        **kwargs: Of ``DataStreamVectorEnv``.

    Raises:
        UsageError: As there.
        DataError: As there.
    """
    return DataStreamVectorEnv(real_stream(task, split, data_dir, download=download), num_envs, **kwargs)


def real_stream(task: str, split: str, data_dir: str | Path | None = None, *, download: bool = False) -> DataStream:
    """Returns one split of a real data set as a stream: a single batch of all its images.

    The last splits that were asked for are kept, so that copies share them.

    Raises:
        UsageError: There is no such task or split.
        DataError: A file is absent, or damaged.
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
