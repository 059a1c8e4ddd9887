"""A user's own images as a task, from arrays, a module or an ``.npz`` file, and teachers of such tasks."""

import json
import os
import pickle
import shutil
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from gtn_core.errors import CheckpointError, DataError, UsageError
from gtn_core.planning.plan import StepPlan
from gtn_sl import TeacherDataset
from gtn_sl.config import resolve_config
from gtn_sl.data import find_task, image_task, load_task
from gtn_sl.presets import PRESETS
from gtn_sl.streams.real_classifier import RealTraining
from gtn_sl.streams.semi_supervised import label_the_rest
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_real_images, load_teacher, save_teacher

NAMES = ["red", "green", "blue"]


@pytest.fixture
def arrays():
    """Returns 60 train and 30 test images of 8x12, three classes by colour."""
    random = np.random.default_rng(0)

    def some(count):
        labels = np.arange(count) % 3
        images = random.integers(0, 100, (count, 8, 12, 3))
        images[np.arange(count), :, :, labels] += 100
        return images.astype(np.uint8), labels

    return dict(
        zip(("train_images", "train_labels", "test_images", "test_labels"), (*some(60), *some(30)), strict=True)
    )


@pytest.fixture
def file(arrays, tmp_path):
    np.savez(tmp_path / "colours.npz", **arrays, class_names=NAMES)
    return tmp_path / "colours.npz"


def test_image_task_describes_its_arrays(arrays):
    task = image_task("Colours", **arrays, class_names=NAMES)
    pixels = arrays["train_images"].transpose(3, 0, 1, 2).reshape(3, -1) / 255
    assert (task.image_shape, task.class_names, task.title) == ((3, 8, 12), tuple(NAMES), "Colours")
    assert (task.train_size, task.test_size, task.validation_size) == (60, 30, 10)
    np.testing.assert_allclose(task.mean, pixels.mean(axis=1), atol=6e-6)
    np.testing.assert_allclose(task.std, pixels.std(axis=1), atol=6e-6)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ((60, 8, 12), (1, 8, 12)),
        ((60, 1, 8, 12), (1, 8, 12)),
        ((60, 3, 8, 12), (3, 8, 12)),
        ((60, 8, 12, 1), (1, 8, 12)),
    ],
)
def test_image_channels_may_be_first_last_or_absent(arrays, given, shape):
    images = np.random.default_rng(1).integers(0, 256, given).astype(np.uint8)
    task = image_task("any", images, arrays["train_labels"], images[:30], arrays["test_labels"])
    assert task.image_shape == shape
    assert task.class_names == ("0", "1", "2")


def test_channels_last_images_are_transposed(arrays):
    last = image_task("a", **arrays).load(None, False).train_images
    first = image_task("a", **{k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for k, v in arrays.items()})
    assert np.array_equal(last, first.load(None, False).train_images)
    assert sorted(map(bytes, last.transpose(0, 2, 3, 1))) == sorted(map(bytes, arrays["train_images"]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": np.zeros((60, 8, 12))}, "train_images must be uint8, with pixels from 0 to 255, not float64"),
        ({"train_images": np.zeros((60, 8), np.uint8)}, r"shape \(N, H, W\), .*, not \(60, 8\)"),
        ({"train_images": np.zeros((60, 8, 12, 2), np.uint8)}, "with C of 1 or 3"),
        ({"test_images": np.zeros((30, 8, 8, 3), np.uint8)}, r"test_images have the shape \(3, 8, 8\) each"),
        ({"train_labels": np.zeros(60)}, "train_labels must hold an integer .*, not float64"),
        ({"train_labels": np.arange(60) % 3 - 1}, "must hold an integer of at least 0"),
        ({"train_labels": np.arange(59) % 3}, "must hold an integer of at least 0 for each of 60 images"),
        ({"test_labels": np.arange(30) % 4}, "labels go up to 3, but the classes are 0 to 2"),
        ({"train_labels": np.zeros(60, int)}, "a task needs at least two classes; given: 0"),
        ({"test_images": np.zeros((0, 8, 12, 3), np.uint8)}, r"test_images are empty: their shape is \(0, 8, 12, 3\)"),
        ({"class_names": ["a", "b", "b"]}, "class names must be distinct, got a, b, b"),
        ({"class_names": ["a", "b", "c", "d"]}, "fewer than two images of the class d"),
        ({"validation_size": 31}, "31 of 60 training images"),
        ({"train_images": np.zeros((60, 8, 12, 3), np.uint8)}, "all pixels of a channel"),
    ],
)
def test_invalid_arrays_are_rejected(arrays, changed, message):
    with pytest.raises(DataError, match=message):
        image_task("odd", **(arrays | changed))


def test_npz_file_loads_with_stratified_splits(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    data = load_task("colours.npz")
    assert data.task.name == str(file)  # found from any folder
    assert data.task.slug == "colours"
    assert [len(split) for split in (data.train, data.validation, data.test)] == [50, 10, 30]
    assert data.validation.labels.bincount().tolist() == [4, 3, 3]


def test_equivalent_paths_give_same_task_name(file, monkeypatch):
    (file.parent / "here").mkdir()
    (file.parent / "link").symlink_to(file.parent / "here")
    monkeypatch.chdir(file.parent / "here")
    for written in ("../colours.npz", str(file.parent / "link" / ".." / "colours.npz"), str(file)):
        assert find_task(written).name == str(file)


def test_task_copies_writable_and_read_only_arrays(arrays, tmp_path, monkeypatch):
    for images in (arrays["train_images"], arrays["test_images"]):
        images.flags.writeable = False
    channels_first = {
        key: np.moveaxis(value, -1, 1).copy() if "images" in key else value for key, value in arrays.items()
    }
    channels_first["test_images"].flags.writeable = False
    module = type(sys)("my_images")
    module.task = image_task("Mine", **channels_first)
    monkeypatch.setitem(sys.modules, "my_images", module)
    before = module.task.load(None, False).train_images.copy()
    assert len(load_task("my_images:task").test) == 30  # torch warns of read-only arrays
    channels_first["train_images"][:] = 7
    assert np.array_equal(module.task.load(None, False).train_images, before)


def test_validation_size_changes_task_identity(arrays):
    assert image_task("a", **arrays).identity() != image_task("a", **arrays, validation_size=20).identity()
    assert image_task("a", **arrays).identity() == image_task("a", **arrays, validation_size=10).identity()


def test_object_array_error_names_array(file, arrays):
    np.savez(file, **arrays, class_names=np.array(["a", "b", "c"], dtype=object))
    with pytest.raises(DataError, match=r"colours.npz: class_names is an array of Python objects; save strings"):
        find_task(str(file))


def test_folder_and_unknown_name_raise_different_errors(tmp_path):
    with pytest.raises(UsageError, match=r"is not a task: give your own images as an \.npz file"):
        find_task(str(tmp_path))
    with pytest.raises(UsageError, match="unknown task 'fishes'"):
        find_task("fishes")


def test_moved_file_keeps_validation_split(file, tmp_path):
    before = load_task(str(file)).validation
    moved = shutil.move(file, tmp_path / "others.npz")
    assert torch.equal(load_task(str(moved)).validation.images, before.images)


def test_changed_file_is_reread_with_another_identity(file, arrays):
    before = find_task(str(file))
    np.savez(file, **(arrays | {"test_labels": (arrays["test_labels"] + 1) % 3}))
    after = find_task(str(file))
    assert before.facts() | {"class_names": ["0", "1", "2"]} == after.facts()
    assert before.identity() != after.identity()


def test_changed_file_with_old_modification_time_is_reread(file, arrays):
    before, times = find_task(str(file)), file.stat()
    np.savez(file, **{name: array[:30] for name, array in arrays.items()})
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = find_task(str(file))
    assert (before.train_size, after.train_size) == (60, 30)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"hello", "not a readable .npz file"),
        (b"PK\x03\x04 cut off", "not a readable .npz file"),
    ],
)
def test_missing_or_non_npz_file_is_rejected(tmp_path, content, message):
    path = tmp_path / "odd.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_task(str(path))


@pytest.mark.parametrize("damage", ["compressed data", "encrypted"])
def test_damaged_or_encrypted_file_is_rejected(file, arrays, damage):
    np.savez_compressed(file, **arrays)
    content = bytearray(file.read_bytes())
    if damage == "encrypted":
        content[6] |= 1  # the flags of the first array, in its own header and in the directory
        content[content.index(b"PK\1\2") + 8] |= 1
    else:
        with zipfile.ZipFile(file) as archive:
            first = archive.infolist()[0]
        begins = 30 + int.from_bytes(content[26:28], "little") + int.from_bytes(content[28:30], "little")
        content[begins : begins + first.compress_size // 2] = b"\xff" * (first.compress_size // 2)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"not a readable \.npz file of arrays"):
        find_task(str(file))


def test_unreadable_file_error_gives_reason(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DataError, match=r"folder\.npz: cannot be read: Is a directory"):
        find_task(str(tmp_path / "folder.npz"))


def test_file_with_missing_arrays_is_rejected(tmp_path, arrays):
    np.savez(tmp_path / "half.npz", train_images=arrays["train_images"])
    with pytest.raises(DataError, match="missing train_labels, test_images, test_labels"):
        find_task(str(tmp_path / "half.npz"))


def test_module_attribute_can_be_task(file, tmp_path, monkeypatch):
    (tmp_path / "my_colours.py").write_text(
        "import numpy as np\nfrom gtn_sl.data import image_task\n"
        f"colours = image_task('Colours', **np.load({str(file)!r}))\nnothing = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = find_task("my_colours:colours")
    assert (task.name, task.title, task.slug) == ("my_colours:colours", "Colours", "my_colours-colours")
    assert len(load_task("my_colours:colours").test) == 30
    with pytest.raises(UsageError, match="is a int, not an ImageTask"):
        find_task("my_colours:nothing")
    with pytest.raises(UsageError, match="unknown attribute"):
        find_task("my_colours:colors")
    sys.modules.pop("my_colours")


def test_preset_is_that_of_most_similar_task(file, arrays, tmp_path):
    settings = PRESETS["paper"]["cifar10"]
    assert resolve_config(str(file), "paper").inner.steps == settings["inner"]["steps"]
    for side, alike in ((8, "digits"), (28, "mnist")):
        path = tmp_path / f"grey-{side}.npz"
        images = np.random.default_rng(0).integers(0, 256, (60, side, side)).astype(np.uint8)
        np.savez(path, **(arrays | {"train_images": images, "test_images": images[:30]}))
        found = resolve_config(str(path), "fast")
        assert (found.task, found.inner.steps) == (str(path), PRESETS["fast"][alike]["inner"]["steps"])


@pytest.fixture
def teacher(file, tmp_path):
    """File of an untrained teacher of the colours."""
    config, path = resolve_config(str(file), "fast"), tmp_path / "teacher.safetensors"
    save_teacher(path, seeded_teacher(config, find_task(str(file)), 0), config, {})
    return path


def test_teacher_loads_without_real_images(file, teacher):
    here = load_teacher(teacher).teacher.batch(0)[0]
    file.unlink()
    elsewhere = load_teacher(teacher).teacher
    assert torch.equal(elsewhere.batch(0)[0], here)
    assert elsewhere.task.class_names == tuple(NAMES)
    assert elsewhere.task.title == "colours"
    for load in (lambda: elsewhere.task.load(None, False), lambda: load_real_images(load_teacher(teacher))):
        with pytest.raises(DataError, match="No such file"):
            load()


def test_tasks_load_the_same_images_after_pickling(file, arrays, teacher):
    for task in (image_task("Colours", **arrays), find_task(str(file)), load_teacher(teacher).teacher.task):
        copy = pickle.loads(pickle.dumps(task))
        assert copy.facts() == task.facts()
        for name, images in vars(task.load(None, False)).items():
            np.testing.assert_array_equal(getattr(copy.load(None, False), name), images)


@pytest.mark.slow
def test_spawned_workers_read_a_teacher_of_own_images(teacher):
    dataset = TeacherDataset(teacher, batches=True)
    spawned = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    for (here, _), (there, _) in zip(dataset, spawned, strict=True):
        assert torch.equal(here, there)


def test_moved_real_images_are_found_in_data_dir(file, teacher, tmp_path, monkeypatch):
    here = load_real_images(load_teacher(teacher)).train.images
    (tmp_path / "moved").mkdir()
    file.rename(tmp_path / "moved" / file.name)
    with pytest.raises(
        DataError, match=r"No such file .* in another folder, give it as data_dir, --data-dir or GTN_DATA_DIR\)"
    ):
        load_real_images(load_teacher(teacher), tmp_path)
    assert torch.equal(load_real_images(load_teacher(teacher), tmp_path / "moved").train.images, here)
    monkeypatch.setenv("GTN_DATA_DIR", str(tmp_path / "moved"))
    assert torch.equal(load_real_images(load_teacher(teacher)).train.images, here)


def test_class_names_may_be_bytes(file, arrays):
    np.savez(file, **{**arrays, "class_names": np.array(NAMES, dtype="S")})
    assert find_task(str(file)).class_names == tuple(NAMES)


def test_changed_real_images_load_with_warning(file, arrays, teacher, caplog):
    here = load_teacher(teacher).teacher.batch(0)[0]
    load_real_images(load_teacher(teacher))
    assert not caplog.records
    changed = arrays | {"train_images": arrays["train_images"] // 2}
    np.savez(file, **changed, class_names=NAMES)
    read = load_teacher(teacher)
    assert torch.equal(read.teacher.batch(0)[0], here)
    now = load_real_images(read)
    assert now.task.mean == read.teacher.task.mean != find_task(now.task.name).mean  # learners see the teacher's scale
    assert now.train.images.float().mean() < 0.6 * arrays["train_images"].mean()
    assert [record.getMessage().split(": ")[1].split(" [")[0] for record in caplog.records] == ["mean", "std"]
    assert "colours.npz have changed since" in caplog.text
    np.savez(file, **{key: value[:, :4] if value.ndim == 4 else value for key, value in arrays.items()})
    with pytest.raises(DataError, match=r"are \(3, 4, 12\) in 3 classes, but .* was made for \(3, 8, 12\) in 3"):
        load_real_images(load_teacher(teacher))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_shape", [8, 8]),
        ("image_shape", 3),
        ("image_shape", [2, 8, 8]),
        ("class_names", ["a"]),
        ("class_names", [1, 2, 3]),
        ("mean", [0.5]),
        ("mean", "abc"),
        ("std", [0.1, 0.0, 0.1]),
    ],
)
def test_teacher_header_with_invalid_task_is_rejected(teacher, key, value):
    with safe_open(teacher, framework="pt") as read:
        document = json.loads(read.metadata()["gtn"])
        tensors = {name: read.get_tensor(name) for name in read.keys()}  # noqa: SIM118
    save_file(tensors, teacher, {"gtn": json.dumps({**document, key: value})})
    with pytest.raises(CheckpointError, match=f"does not describe a valid teacher: {key} "):
        load_teacher(teacher)


def test_labelled_subset_does_not_depend_on_file_path(file, tmp_path):
    moved = shutil.copy(file, tmp_path / "others.npz")
    labelled = []
    for path in (file, moved):
        _, labels = label_the_rest(load_task(str(path)), "base_fc:4,6,8", 0, StepPlan(), RealTraining(steps=2))
        labelled.append(labels.max(dim=1).values == 1)
    assert torch.equal(*labelled)


def test_images_sorted_by_class_are_shuffled_with_labels(arrays):
    for part in ("train", "test"):
        order = np.argsort(arrays[f"{part}_labels"], kind="stable")
        for what in ("images", "labels"):
            arrays[f"{part}_{what}"] = arrays[f"{part}_{what}"][order]
    task = image_task("Colours", **arrays, class_names=NAMES)
    raw = task.load(None, False)
    for images, labels, given in (
        (raw.train_images, raw.train_labels, arrays["train_images"]),
        (raw.test_images, raw.test_labels, arrays["test_images"]),
    ):
        assert set(labels[:10]) == {0, 1, 2}
        brightest = images.mean(axis=(2, 3)).argmax(axis=1)  # each image still has its own label
        np.testing.assert_array_equal(brightest, labels)
        assert sorted(map(bytes, images.transpose(0, 2, 3, 1))) == sorted(map(bytes, given))
    assert task.digest == image_task("Colours", **arrays, class_names=NAMES).digest
