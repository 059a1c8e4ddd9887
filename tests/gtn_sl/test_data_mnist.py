"""The files of MNIST and Fashion-MNIST: known statistics, damaged and missing files, checks of labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gtn_core.errors import DataError
from gtn_sl.data.integrity import check_labels
from gtn_sl.data.mnist import MNIST_MD5, load_fashion_mnist, load_mnist

LABELS = "t10k-labels-idx1-ubyte.gz"
MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.fixture
def mnist_copy(data_dir: Path, tmp_path: Path) -> Path:
    """A data folder whose ``mnist/`` may be damaged: three symbolic links and a copy of the test labels."""
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name in MNIST_MD5:
        (folder / name).symlink_to((data_dir / "mnist" / name).resolve())
    (folder / LABELS).unlink()
    shutil.copyfile(data_dir / "mnist" / LABELS, folder / LABELS)
    return folder.parent


def test_mnist_has_known_statistics(data_dir: Path) -> None:
    raw = load_mnist(data_dir, False)
    assert raw.train_images.shape == (60_000, 1, 28, 28)
    assert raw.test_images.shape == (10_000, 1, 28, 28)
    assert raw.train_images.dtype == np.uint8
    assert raw.train_labels.dtype == np.int64
    assert raw.train_images.mean() / 255 == pytest.approx(0.13066, abs=5e-6)
    assert raw.train_images.std() / 255 == pytest.approx(0.30811, abs=5e-6)
    assert np.bincount(raw.train_labels).tolist() == MNIST_COUNTS
    assert raw.train_labels[:6].tolist() == [5, 0, 4, 1, 9, 2]


def test_fashion_mnist_has_known_statistics(data_dir: Path) -> None:
    raw = load_fashion_mnist(data_dir, False)
    assert raw.train_images.mean() / 255 == pytest.approx(0.28604, abs=5e-6)
    assert raw.train_images.std() / 255 == pytest.approx(0.35302, abs=5e-6)
    assert np.bincount(raw.train_labels).tolist() == [6000] * 10
    assert np.bincount(raw.test_labels).tolist() == [1000] * 10


def test_truncated_file_error_gives_path_and_both_hashes(mnist_copy: Path) -> None:
    path = mnist_copy / "mnist" / LABELS
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as caught:
        load_mnist(mnist_copy, False)
    message = str(caught.value)
    assert message.startswith(f"{path} is damaged: expected md5 {MNIST_MD5[LABELS]}, found ")
    assert message.endswith("(4442 bytes); delete it and run `gtn-cli tasks --download mnist`")
    assert "\n" not in message


def test_wrong_file_under_right_name_is_rejected_and_kept(mnist_copy: Path, data_dir: Path) -> None:
    path = mnist_copy / "mnist" / LABELS
    shutil.copyfile(data_dir / "fashion-mnist" / LABELS, path)
    with pytest.raises(DataError, match=r"expected md5 ec29.*, found bb30.*--download mnist`$"):
        load_mnist(mnist_copy, True)
    assert path.exists()


def test_folder_in_place_of_file_raises_data_error(mnist_copy: Path) -> None:
    path = mnist_copy / "mnist" / LABELS
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"^cannot read {path}: Is a directory"):
        load_mnist(mnist_copy, True)


def test_missing_file_error_names_both_remedies(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_fashion_mnist(tmp_path, False)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'fashion-mnist' / 'train-images-idx3-ubyte.gz'} does not exist; ")
    assert "`gtn-cli tasks --download fashion-mnist`" in message
    assert "--data-dir DIR" in message
    assert "GTN_DATA_DIR" in message
    for name in MNIST_MD5:
        assert f"fashion-mnist/{name}" in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 9], "expected 3 labels, one per image, found 2"),
        ([0, 9, 10], "expected labels 0 to 9, found 10"),
        ([0, -1, 9], "expected labels 0 to 9, found -1"),
    ],
)
def test_invalid_labels_are_rejected(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=f"^labels.gz is damaged: {message}; delete it and run"):
        check_labels(np.array(labels, np.int64), 3, 10, Path("labels.gz"), "mnist")


def test_valid_labels_are_accepted() -> None:
    check_labels(np.array([0, 9, 5], np.int64), 3, 10, Path("labels.gz"), "mnist")
