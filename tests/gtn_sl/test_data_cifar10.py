"""CIFAR-10: the record parser, the checks on an unpacked folder, and the real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gtn_core.errors import DataError
from gtn_sl.data import cifar10
from gtn_sl.data.cifar10 import load_cifar10
from gtn_sl.data.cifar_binary import RECORD_BYTES, parse_records
from gtn_sl.data.tasks import TASKS, load_task

NAMES = cifar10.TRAIN_FILES + cifar10.TEST_FILES


@pytest.fixture
def small_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unpacked folder with ten records per file, one of each class."""
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", 10)
    folder = tmp_path / cifar10.FOLDER
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(b"".join(bytes([label]) * RECORD_BYTES for label in range(10)))
    return folder


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 3), st.just(RECORD_BYTES))))
def test_parse_records_returns_labels_and_planes(records: NDArray[np.uint8]) -> None:
    images, labels = parse_records(records.tobytes(), "x")
    assert labels.dtype == np.int64
    assert images.shape == (len(records), 3, 32, 32)
    np.testing.assert_array_equal(labels, records[:, 0])
    np.testing.assert_array_equal(images[:, 1, 2, 3], records[:, 1 + 1024 + 2 * 32 + 3])
    assert images.tobytes() == records[:, 1:].tobytes()


def test_truncated_record_is_rejected() -> None:
    with pytest.raises(DataError, match=r"^x is truncated: expected a multiple of 3073 bytes, found 6145 \(3072 left"):
        parse_records(bytes(2 * RECORD_BYTES - 1), "x")


def test_unpacked_folder_loads_without_archive(small_folder: Path) -> None:
    raw = load_cifar10(small_folder.parent, False)
    assert raw.train_labels.tolist() == list(range(10)) * 5
    assert (raw.test_images == raw.test_labels[:, None, None, None]).all()


def test_batch_file_of_wrong_size_is_rejected(small_folder: Path) -> None:
    path = small_folder / "data_batch_4.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        load_cifar10(small_folder.parent, True)
    assert str(caught.value) == (
        f"{path} is damaged: expected 30730 bytes, found 30729; delete it and run `gtn-cli tasks --download cifar10`"
    )


def test_label_out_of_range_is_rejected(small_folder: Path) -> None:
    path = small_folder / "test_batch.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(DataError, match=f"^{path} is damaged: expected labels 0 to 9, found 10; "):
        load_cifar10(small_folder.parent, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "data_batch_1.bin",
            r"expected 5 labels of each class in data_batch_1.bin to data_batch_5.bin, found \[4, 6, ",
        ),
        ("test_batch.bin", r"expected 1 labels of each class in test_batch.bin, found \[0, 2, 1, "),
    ],
)
def test_unbalanced_classes_are_rejected(name: str, message: str, small_folder: Path) -> None:
    path = small_folder / name
    path.write_bytes(b"\x01" + path.read_bytes()[1:])
    with pytest.raises(DataError, match=f"^{small_folder} is damaged: {message}"):
        load_cifar10(small_folder.parent, True)


def test_missing_batch_file_error_names_file_and_remedies(small_folder: Path) -> None:
    (small_folder / "data_batch_2.bin").unlink()
    with pytest.raises(DataError) as caught:
        load_cifar10(small_folder.parent, False)
    message = str(caught.value)
    assert message.startswith(
        f"{small_folder / 'data_batch_2.bin'} does not exist; run `gtn-cli tasks --download cifar10`"
    )
    assert message.endswith(f"where DIR holds cifar-10-batches-bin/ with {', '.join(NAMES)}, or cifar-10-binary.tar.gz")


def test_real_images_have_known_statistics(cifar_dir: Path) -> None:
    raw = load_cifar10(cifar_dir, False)
    task = TASKS["cifar10"]
    pixels = raw.train_images.transpose(1, 0, 2, 3).reshape(3, -1)
    for channel in range(3):
        share = np.bincount(pixels[channel], minlength=256) / pixels.shape[1]
        value = np.arange(256) / 255
        mean = (share * value).sum()
        assert mean == pytest.approx(task.mean[channel], abs=5e-5)
        assert np.sqrt((share * value**2).sum() - mean**2) == pytest.approx(task.std[channel], abs=5e-5)
    assert raw.train_labels[:6].tolist() == [6, 9, 9, 4, 1, 1]
    assert raw.test_labels[:6].tolist() == [3, 8, 8, 0, 6, 6]


def test_real_splits_are_class_balanced(cifar_dir: Path) -> None:
    data = load_task("cifar10", cifar_dir, download=False)
    assert data.train.labels.bincount().tolist() == [4500] * 10
    assert data.validation.labels.bincount().tolist() == [500] * 10
    assert data.test.labels.bincount().tolist() == [1000] * 10
    assert data.train.images.shape[1:] == (3, 32, 32)
