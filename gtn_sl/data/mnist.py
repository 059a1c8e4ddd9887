"""MNIST and Fashion-MNIST: four gzipped idx files each, with the same four names, checked by their published md5."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gtn_sl.data.download import absent, fetch
from gtn_sl.data.folder import resolve_data_dir
from gtn_sl.data.idx import parse_idx_gz
from gtn_sl.data.integrity import check_labels, check_md5, damaged, read_bytes
from gtn_sl.data.raw import RawImages

CLASSES = 10

MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def load_mnist(data_dir: Path | None, download: bool) -> RawImages:
    """Reads MNIST, (N, 1, 28, 28), from ``mnist/`` in the data folder; see ``load_idx_files``."""
    return load_idx_files("mnist", MNIST_MD5, data_dir, download)


def load_fashion_mnist(data_dir: Path | None, download: bool) -> RawImages:
    """Reads Fashion-MNIST, (N, 1, 28, 28), from ``fashion-mnist/`` in the data folder; see ``load_idx_files``."""
    return load_idx_files("fashion-mnist", FASHION_MNIST_MD5, data_dir, download)


def load_idx_files(task: str, md5: Mapping[str, str], data_dir: Path | None, download: bool) -> RawImages:
    """Reads the four files from the folder named after the task, downloading those that are missing.

    Args:
        task: Name of the task.
        md5: File name -> md5, in the order train images, train labels, test images, test labels.
        data_dir: The data folder; ``None`` as in ``resolve_data_dir``.
        download: Whether missing files may be downloaded.

    Raises:
        DataError: A file is missing and cannot be downloaded, or is not the published one.
    """
    folder = resolve_data_dir(data_dir) / task
    needed = ", ".join(f"{task}/{name}" for name in md5)
    for name, expected in md5.items():
        path = folder / name
        if not os.path.exists(path):
            if not download:
                raise absent(task, path, needed)
            fetch(task, expected, path, needed)
    train_images, train_labels, test_images, test_labels = md5
    return RawImages(
        *_read_pair(task, md5, folder / train_images, folder / train_labels),
        *_read_pair(task, md5, folder / test_images, folder / test_labels),
    )


def _read_pair(
    task: str, md5: Mapping[str, str], images_path: Path, labels_path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns images (N, 1, H, W) and labels (N,) of one split, checked against each other."""
    images, labels = (_read(path, md5[path.name], task) for path in (images_path, labels_path))
    for array, ndim, path in ((images, 3, images_path), (labels, 1, labels_path)):
        if array.ndim != ndim:
            raise damaged(path, f"expected {ndim} dimensions, found {array.ndim}", task)
    wide = labels.astype(np.int64)
    check_labels(wide, len(images), CLASSES, labels_path, task)
    return images[:, None], wide


def _read(path: Path, md5: str, task: str) -> NDArray[np.uint8]:
    content = read_bytes(path)
    check_md5(content, md5, path, task)
    return parse_idx_gz(content, str(path))
