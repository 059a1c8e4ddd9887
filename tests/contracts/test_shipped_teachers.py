"""The contract of every shipped teacher of images."""

import pytest
import torch

import gtn_sl
from gtn_sl.compact import FEW
from gtn_sl.data import TASKS

MIB = 2**20
SHIPPED = gtn_sl.shipped_teachers()


@pytest.fixture(params=SHIPPED)
def file(request):
    return gtn_sl.load_teacher(request.param)


def test_digits_teacher_is_shipped():
    assert "digits" in SHIPPED


def task_and_preset(file):
    """Returns the task and preset of a name such as ``mnist``, ``mnist-base_fc`` or ``mnist-search``."""
    name = file.path.stem
    task = name.removesuffix("-base_fc")
    return (task, "fast") if task in TASKS else (name.removesuffix("-search"), "search")


def test_file_is_named_after_task_and_at_most_8_mib(file):
    task, _ = task_and_preset(file)
    assert file.document["task"] == task
    assert task in TASKS
    assert file.path.stat().st_size <= 8 * MIB


def test_header_records_provenance_and_validation_accuracy(file):
    provenance, (task, preset) = file.document["provenance"], task_and_preset(file)
    assert provenance["command"].startswith(f"gtn-cli meta-train --task {task}")
    assert preset == "fast" or f"--preset {preset}" in provenance["command"]
    assert all(provenance[key] > 0 for key in ("outer_steps", "minutes", "cpu_seconds"))
    assert provenance["seed"] == file.config.seed
    assert provenance["hardware"]
    # Teachers for search are validated on networks of a search space, including bad ones.
    assert file.document["storage"]["validation_accuracy"] > {"fast": 0.7, "search": 0.6}[preset]


def test_file_takes_half_precision_size_and_loads_as_float32(file):
    numbers = file.teacher.state_dict()
    assert file.path.stat().st_size < 2.5 * sum(t.numel() for t in numbers.values()) + 64 * FEW
    assert {t.dtype for t in numbers.values() if t.is_floating_point()} == {torch.float32}


def test_batches_have_shape_range_and_labels_of_task(file):
    dataset = gtn_sl.TeacherDataset(file, batches=True)
    images, labels = next(iter(dataset))
    assert images.shape == (dataset.batch_size, *dataset.task.image_shape)
    assert labels.sum(dim=1).allclose(torch.ones(dataset.batch_size), atol=1e-4)
    low, high = dataset.task.value_range
    assert (images.amax(dim=(0, 2, 3)) <= 1.2 * high).all()
    assert (images.amin(dim=(0, 2, 3)) >= low - 0.2 * (high - low)).all()
