"""Exports of a teacher's batches: contents, order, every format, and output paths."""

import csv
import json

import numpy as np
import pytest
import safetensors.numpy
import torch
from PIL import Image

from gtn_core.errors import GTNError, UsageError
from gtn_envs import load_stream
from gtn_sl.config import resolve_config
from gtn_sl.curricula import CURRICULA
from gtn_sl.data import TASKS
from gtn_sl.export import EXPORTERS, export, folder_names, to_stream
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_teacher, save_teacher

T, B = 3, 12


def teacher_file(folder, **teacher):
    """Saves a small, untrained teacher with some settings changed, and returns it as loaded."""
    settings = {"hidden": 8, "channels": [4, 2], "latent": 3, "warm_start": 0, "labels": "one-hot", **teacher}
    inner = {"steps": T, "batch_size": B}
    config = resolve_config("digits", "fast", {"teacher": settings, "inner": inner}, {"outer": {"iterations": 2}})
    save_teacher(folder / "teacher.safetensors", seeded_teacher(config, TASKS["digits"], 5), config, {"a": 0.5})
    return load_teacher(folder)


@pytest.fixture
def stream(tmp_path):
    return to_stream(teacher_file(tmp_path, labels="soft"))


def test_stream_holds_teacher_batches_schedule_and_facts(tmp_path):
    file = teacher_file(tmp_path, labels="soft")
    stream, task = to_stream(file), TASKS["digits"]
    for step in range(T):
        images, labels = file.teacher.batch(step)
        pixels = (task.denormalise(images) * 255).round().permute(0, 2, 3, 1).detach().numpy()
        np.testing.assert_array_equal(stream.images[step], pixels)
        np.testing.assert_allclose(stream.labels[step], labels.detach().numpy(), atol=1e-3)
    lr, momentum = file.teacher.schedule()
    np.testing.assert_array_equal(stream.lr, lr.detach().numpy())
    np.testing.assert_array_equal(stream.momentum, momentum.detach().numpy())
    document = stream.document
    assert (stream.task, stream.class_names, document["seed"]) == ("digits", task.class_names, 0)
    assert (document["mean"], document["optimizer"], document["metrics"]) == (list(task.mean), "adam", {"a": 0.5})
    assert document["config"]["teacher"]["labels"] == "soft"


def test_normalised_stream_pixels_match_teacher_images(stream, tmp_path):
    """Up to the rounding to bytes and the clamping to the range of real pixels."""
    task = TASKS["digits"]
    images, _ = load_teacher(tmp_path).teacher.batch(1)
    low, high = task.value_range
    again = task.normalise(torch.from_numpy(stream.images[1].copy()).permute(0, 3, 1, 2))
    torch.testing.assert_close(again, images.clamp(low.item(), high.item()), atol=0.51 / 255 / task.std[0], rtol=0)


@pytest.mark.parametrize("curriculum", sorted(name for name in CURRICULA if CURRICULA[name].feedback is None))
def test_stream_order_follows_curriculum(curriculum, tmp_path):
    expected = {"shuffled-batches": "shuffled-batches", "all-shuffled": "all-shuffled", "none": "all-shuffled"}
    file = teacher_file(tmp_path, curriculum=curriculum)
    one, other = to_stream(file, seed=1), to_stream(file, seed=2)
    assert one.order == expected.get(curriculum, "given")
    alike = np.array_equal(one.images, other.images)
    assert alike == (curriculum in ("full", "reversed", "random-fixed"))
    np.testing.assert_array_equal(one.images, to_stream(file, seed=1).images)


def test_closed_loop_teacher_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="a data set needs batches that do not depend on the learner"):
        to_stream(teacher_file(tmp_path, curriculum="closed-loop"))


def test_safetensors_and_npz_hold_images_and_labels(stream, tmp_path):
    for format, name in (("safetensors", "d.safetensors"), ("npz", "d.npz")):
        export(stream, format, tmp_path / name)
    packed = np.load(tmp_path / "d.npz")
    tensors = safetensors.numpy.load_file(tmp_path / "d.safetensors")
    for found in (packed, tensors):
        np.testing.assert_array_equal(found["images"], stream.images.reshape(T * B, 8, 8, 1))
        np.testing.assert_array_equal(found["labels"], stream.labels.reshape(T * B, 10).astype(np.float32))
        assert (found["images"].dtype, found["labels"].dtype) == (np.uint8, np.float32)
    assert packed["class_names"].tolist() == list(TASKS["digits"].class_names)
    with safetensors.safe_open(tmp_path / "d.safetensors", framework="np") as file:
        assert json.loads(file.metadata()["class_names"]) == list(TASKS["digits"].class_names)


def test_exported_stream_file_loads_unchanged(stream, tmp_path):
    export(stream, "stream", tmp_path / "d.safetensors")
    read = load_stream(tmp_path / "d.safetensors")
    for name, tensor in stream.tensors.items():
        np.testing.assert_array_equal(read.tensors[name], tensor)
    assert json.loads(json.dumps(stream.document)) == read.document


def test_png_export_writes_images_and_label_table(stream, tmp_path):
    export(stream, "png", tmp_path / "d")
    with (tmp_path / "d" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == T * B == len(list((tmp_path / "d").rglob("*.png")))
    for row in rows:
        step, position = int(row["step"]), int(row["position"])
        label = stream.labels[step, position].astype(np.float32)
        assert row["file"].split("/")[0] == str(label.argmax())
        np.testing.assert_allclose([float(row[name]) for name in stream.class_names], label, rtol=1e-3)
        with Image.open(tmp_path / "d" / row["file"]) as picture:
            np.testing.assert_array_equal(np.array(picture), stream.images[step, position, :, :, 0])
    assert json.loads((tmp_path / "d" / "dataset.json").read_text())["task"] == "digits"


def test_interrupted_png_export_leaves_folder_empty(stream, tmp_path, monkeypatch):
    def press(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", press)  # called when all pictures are written
        with pytest.raises(KeyboardInterrupt):
            export(stream, "png", tmp_path / "d")
    assert list((tmp_path / "d").iterdir()) == []
    export(stream, "png", tmp_path / "d")
    assert len(list((tmp_path / "d").iterdir())) == 10 + 2


def test_folder_names_sort_in_label_order():
    names = folder_names(TASKS["fashion-mnist"].class_names)
    assert names[0] == "0-T-shirt-top"
    assert names == sorted(names)
    assert folder_names(TASKS["digits"].class_names) == list("0123456789")
    many = folder_names(tuple(f"c{i}" for i in range(12)))
    assert many == sorted(many)
    assert many[3] == "03-c3"


@pytest.mark.parametrize("format", sorted(EXPORTERS))
def test_unsuitable_output_paths_are_rejected(format, stream, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    wrong = tmp_path / "full" if format == "png" else tmp_path / "d.zip"
    with pytest.raises(UsageError, match=r"new or empty|must be a file named <name>\."):
        export(stream, format, wrong)
    suffix = {"png": "", "npz": ".npz"}.get(format, ".safetensors")
    with pytest.raises(GTNError, match="cannot write"):
        export(stream, format, tmp_path / "full" / "file" / f"d{suffix}")


def test_unknown_format_error_suggests_nearest_name(stream, tmp_path):
    with pytest.raises(UsageError, match="unknown format 'np'; did you mean 'npz'"):
        export(stream, "np", tmp_path / "d")
