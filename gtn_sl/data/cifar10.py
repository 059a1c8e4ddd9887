"""CIFAR-10: six batch files, unpacked from the official archive if they are missing.

An unpacked folder is accepted by its file sizes and label histogram, not by md5: copies rebuilt from lossless images
differ from the official bytes in a few pictures. The archive itself is checked against the official md5.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gtn_core.errors import DataError
from gtn_sl.data.cifar_binary import RECORD_BYTES, parse_records
from gtn_sl.data.download import absent, fetch
from gtn_sl.data.folder import resolve_data_dir
from gtn_sl.data.integrity import check_labels, check_md5, damaged, read_bytes
from gtn_sl.data.raw import RawImages

TASK = "cifar10"
CLASSES = 10
FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILES = ("test_batch.bin",)
RECORDS_PER_FILE = 10_000


def load_cifar10(data_dir: Path | None, download: bool) -> RawImages:
    """Reads CIFAR-10, (N, 3, 32, 32), from ``cifar-10-batches-bin/`` in the data folder.

    Missing batch files are unpacked from ``cifar-10-binary.tar.gz`` in the data folder, which is downloaded if needed
    and kept.

    Args:
        data_dir: The data folder; ``None`` as in ``resolve_data_dir``.
        download: Whether the archive may be downloaded.

    Raises:
        DataError: A file is missing and cannot be downloaded, or is not what its name promises.
    """
    root = resolve_data_dir(data_dir)
    folder = root / FOLDER
    missing = [name for name in TRAIN_FILES + TEST_FILES if not os.path.exists(folder / name)]
    if missing:
        archive = root / ARCHIVE
        needed = f"{FOLDER}/ with {', '.join(TRAIN_FILES + TEST_FILES)}, or {ARCHIVE}"
        if os.path.exists(archive):
            check_md5(read_bytes(archive), ARCHIVE_MD5, archive, TASK)
        elif not download:
            raise absent(TASK, folder / missing[0], needed)
        else:
            fetch(TASK, ARCHIVE_MD5, archive, needed)
        _unpack(archive, folder, missing)
    return RawImages(*_read_split(folder, TRAIN_FILES), *_read_split(folder, TEST_FILES))


def _unpack(archive: Path, folder: Path, names: list[str]) -> None:
    """Writes the named batch files into ``folder``; ignores the rest of the archive and uses no path from it."""
    wanted = {f"{FOLDER}/{name}": folder / name for name in names}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() and member.name in wanted else None
                if stream is not None and member.size == RECORDS_PER_FILE * RECORD_BYTES:
                    target = wanted.pop(member.name)
                    part = target.with_name(f".{target.name}.{os.getpid()}.part")
                    try:
                        with stream, part.open("wb") as out:
                            shutil.copyfileobj(stream, out)
                        part.replace(target)
                    finally:
                        part.unlink(missing_ok=True)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise damaged(archive, f"not a complete tar.gz ({error})", TASK) from error
    except OSError as error:
        raise DataError(f"cannot unpack {archive} into {folder}: {error.strerror or error}") from error
    if wanted:
        size = RECORDS_PER_FILE * RECORD_BYTES
        raise damaged(archive, f"expected {', '.join(wanted)} of {size} bytes in it, found none", TASK)


def _read_split(folder: Path, names: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Returns images and labels of the named batch files, in that order; checks that the classes are balanced."""
    batches = [_read_batch(folder / name) for name in names]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    counts = np.bincount(labels, minlength=CLASSES)
    per_class = len(labels) // CLASSES
    if (counts != per_class).any():
        files = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        raise damaged(folder, f"expected {per_class} labels of each class in {files}, found {counts.tolist()}", TASK)
    return images, labels


def _read_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = read_bytes(path)
    expected = RECORDS_PER_FILE * RECORD_BYTES
    if len(content) != expected:
        raise damaged(path, f"expected {expected} bytes, found {len(content)}", TASK)
    images, labels = parse_records(content, str(path))
    check_labels(labels, len(images), CLASSES, path, TASK)
    return images, labels
