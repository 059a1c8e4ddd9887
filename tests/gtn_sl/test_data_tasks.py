"""The task registry: descriptions against the loaded data, splits, normalisation, and the data folder."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pooch  # type: ignore[import-untyped]
import pytest
import torch

from gtn_core.errors import DataError, UsageError
from gtn_sl.data import TASKS, TaskData, load_task
from gtn_sl.data.digits import load_digits
from gtn_sl.data.folder import resolve_data_dir
from gtn_sl.data.tasks import validation_indices

WITH_FILES = ("mnist", "fashion-mnist")


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return load_task("digits", download=False)


def check_promises(data: TaskData) -> None:
    """Asserts that the data have the sizes, shapes, dtypes and class shares that their task describes."""
    task = data.task
    assert len(data.train) == task.train_size - task.validation_size
    assert len(data.validation) == task.validation_size
    assert len(data.test) == task.test_size
    for split in (data.train, data.validation, data.test):
        assert split.images.shape == (len(split), *task.image_shape)
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert sorted(set(split.labels.tolist())) == list(range(task.classes))
    both = torch.cat([data.train.labels, data.validation.labels]).bincount()
    expected = both * task.validation_size / task.train_size
    assert (data.validation.labels.bincount() - expected).abs().max() < 1


def index_checksum(name: str, data_dir: Path | None, seed: int) -> str:
    task = TASKS[name]
    chosen = validation_indices(task, task.load(data_dir, False).train_labels, seed)
    return hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("name", sorted(TASKS))
def test_registered_task_is_complete(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert task.classes == len(set(task.class_names)) == 10
    assert len(task.mean) == len(task.std) == task.image_shape[0]
    assert 0 < task.validation_size < task.train_size
    for text in (task.title, task.source, task.licence):
        assert text.strip()
        assert "\n" not in text


def test_digits_match_their_description(digits: TaskData) -> None:
    check_promises(digits)
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1000, 200, 597)


@pytest.mark.parametrize("name", WITH_FILES)
def test_tasks_with_files_match_description_and_moments(name: str, data_dir: Path) -> None:
    data = load_task(name, data_dir, download=False)
    check_promises(data)
    pixels = data.normalise(torch.cat([data.train.images, data.validation.images]))
    assert pixels.mean().item() == pytest.approx(0, abs=1e-3)
    assert pixels.std().item() == pytest.approx(1, abs=1e-3)


def test_cifar10_matches_its_description(cifar_dir: Path) -> None:
    check_promises(load_task("cifar10", cifar_dir, download=False))


def test_unknown_task_error_suggests_nearest_name() -> None:
    with pytest.raises(UsageError, match="unknown task 'fasion-mnist'; did you mean 'fashion-mnist'"):
        load_task("fasion-mnist")


def test_negative_split_seed_is_rejected() -> None:
    with pytest.raises(UsageError, match="split_seed must be at least 0, not -1"):
        load_task("digits", split_seed=-1)


def test_digits_are_scikit_learn_images_each_once(digits: TaskData) -> None:
    from sklearn import datasets

    ink = datasets.load_digits().images
    loaded = torch.cat([digits.train.images, digits.validation.images, digits.test.images])[:, 0].double()
    assert loaded.max() == 255
    ours = sorted(map(tuple, (loaded * 16 / 255).round().flatten(1).tolist()))
    assert ours == sorted(map(tuple, ink.reshape(1797, 64).tolist()))


def test_digits_are_the_same_where_scikit_learn_keeps_them_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_digits(None, False)
    monkeypatch.setattr("gtn_sl.data.digits.FILE", Path("gone.csv.gz"))
    other = load_digits(None, False)
    assert all(np.array_equal(array, getattr(other, name)) for name, array in vars(usual).items())


def test_digits_mean_and_std_are_those_of_train_set() -> None:
    pixels = load_digits(None, False).train_images / 255
    assert TASKS["digits"].mean[0] == pytest.approx(pixels.mean(), abs=5e-6)
    assert TASKS["digits"].std[0] == pytest.approx(pixels.std(), abs=5e-6)


def test_missing_scikit_learn_error_gives_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match="needs scikit-learn: run `pip install scikit-learn`"):
        load_task("digits")


def test_split_seed_changes_validation_but_not_test_images(digits: TaskData) -> None:
    again, other = load_task("digits"), load_task("digits", split_seed=1)
    assert torch.equal(again.validation.images, digits.validation.images)
    assert torch.equal(again.train.images, digits.train.images)
    assert not torch.equal(other.validation.images, digits.validation.images)
    assert torch.equal(other.test.images, digits.test.images)
    assert torch.equal(other.test.labels, digits.test.labels)


@pytest.mark.parametrize(("seed", "checksum"), [(0, "36556c37a6f8ccbd"), (1, "be94b4135c99da88")])
def test_digits_validation_split_matches_pinned_checksum(seed: int, checksum: str) -> None:
    assert index_checksum("digits", None, seed) == checksum


@pytest.mark.parametrize(("name", "checksum"), [("mnist", "3eed40e7beeab914"), ("fashion-mnist", "740a73c64901d1b6")])
def test_mnist_like_validation_split_matches_pinned_checksum(name: str, checksum: str, data_dir: Path) -> None:
    assert index_checksum(name, data_dir, 0) == checksum


def test_cifar10_validation_split_matches_pinned_checksum(cifar_dir: Path) -> None:
    assert index_checksum("cifar10", cifar_dir, 0) == "071c483b6c819d97"


def test_train_and_validation_partition_official_train_set(data_dir: Path) -> None:
    task = TASKS["mnist"]
    raw = task.load(data_dir, False)
    data = load_task("mnist", data_dir, download=False)
    chosen = validation_indices(task, raw.train_labels, 0)
    np.testing.assert_array_equal(data.validation.images.numpy(), raw.train_images[chosen])
    np.testing.assert_array_equal(data.train.images.numpy(), np.delete(raw.train_images, chosen, axis=0))
    np.testing.assert_array_equal(data.train.labels.numpy(), np.delete(raw.train_labels, chosen))
    np.testing.assert_array_equal(data.test.images.numpy(), raw.test_images)
    np.testing.assert_array_equal(data.test.labels.numpy(), raw.test_labels)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_normalise_matches_formula_and_can_be_inverted(name: str) -> None:
    task = TASKS[name]
    images = torch.randint(0, 256, (2, 5, *task.image_shape), generator=torch.Generator().manual_seed(0)).byte()
    before = images.clone()
    normalised = task.normalise(images)
    assert torch.equal(images, before)
    assert normalised.dtype == torch.float32
    for channel, (mean, std) in enumerate(zip(task.mean, task.std, strict=True)):
        expected = (images[:, :, channel].double() / 255 - mean) / std
        torch.testing.assert_close(normalised[:, :, channel].double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal((task.denormalise(normalised) * 255).round().byte(), images)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_value_range_is_normalised_black_and_white(name: str) -> None:
    task = TASKS[name]
    low, high = task.value_range
    assert low.shape == high.shape == (task.image_shape[0],)
    black = torch.zeros(task.image_shape, dtype=torch.uint8)
    assert torch.equal(task.normalise(black)[:, 0, 0], low)
    assert torch.equal(task.normalise(black + 255)[:, 0, 0], high)
    assert (low < 0).all()
    assert (high > 0).all()


def test_task_data_normalises_as_its_task(digits: TaskData) -> None:
    images = digits.normalise(digits.train.images)
    assert torch.equal(images, digits.task.normalise(digits.train.images))
    assert torch.equal(digits.denormalise(images), digits.task.denormalise(images))
    low, high = digits.task.value_range
    assert low.item() == images.min()
    assert high.item() == images.max()


def test_denormalise_clamps_to_unit_interval() -> None:
    picture = TASKS["cifar10"].denormalise(torch.tensor([-100.0, 0.0, 100.0]).view(3, 1, 1))
    torch.testing.assert_close(picture.flatten(), torch.tensor([0.0, 0.4822, 1.0]))


def test_normalisation_constants_are_cached() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    first, second = (TASKS["cifar10"]._per_channel(images) for _ in range(2))
    assert [part.data_ptr() for part in first] == [part.data_ptr() for part in second]


def test_normalise_rejects_floats_and_wrong_shapes() -> None:
    task = TASKS["cifar10"]
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    with pytest.raises(TypeError, match=r"normalise expects uint8 images, not torch\.float32"):
        task.normalise(task.normalise(images))
    with pytest.raises(ValueError, match=r"cifar10 images must be \(\.\.\., 3, H, W\), not \(1, 1, 32, 32\)"):
        task.normalise(images[:, :1])
    with pytest.raises(ValueError, match=r"not \(32, 32\)"):
        task.denormalise(torch.zeros(32, 32))


def test_split_moves_images_and_labels_to_device(digits: TaskData) -> None:
    moved = digits.test.to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"
    assert len(moved) == len(digits.test)


def test_data_dir_is_argument_else_environment_else_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTN_DATA_DIR", "/from/env")
    assert resolve_data_dir("/named") == Path("/named")
    assert resolve_data_dir(Path("~/named")) == Path.home() / "named"
    assert resolve_data_dir() == Path("/from/env")
    monkeypatch.setenv("GTN_DATA_DIR", "")
    assert resolve_data_dir() == Path(pooch.os_cache("gtn"))
    monkeypatch.delenv("GTN_DATA_DIR")
    assert resolve_data_dir() == Path(pooch.os_cache("gtn"))
