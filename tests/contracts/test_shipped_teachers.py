"""What holds for every teacher that comes with the package."""

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


def test_there_is_one_that_needs_no_download():
    assert "digits" in SHIPPED


def task_and_preset(file):
    """Returns what a name such as ``mnist``, ``mnist-base_fc`` or ``mnist-search`` stands for."""
    name = file.path.stem
    task = name.removesuffix("-base_fc")
    return (task, "fast") if task in TASKS else (name.removesuffix("-search"), "search")


def test_it_is_called_like_its_task_and_is_small(file):
    task, _ = task_and_preset(file)
    assert file.document["task"] == task
    assert task in TASKS
    assert file.path.stat().st_size <= 8 * MIB


def test_its_header_tells_how_it_was_made(file):
    provenance, (task, preset) = file.document["provenance"], task_and_preset(file)
    assert provenance["command"].startswith(f"gtn-cli meta-train --task {task}")
    assert preset == "fast" or f"--preset {preset}" in provenance["command"]
    assert all(provenance[key] > 0 for key in ("outer_steps", "minutes", "cpu_seconds"))
    assert provenance["seed"] == file.config.seed
    assert provenance["hardware"]
    # Those for search are judged on networks of a search space, bad ones among them.
    assert file.document["storage"]["validation_accuracy"] > {"fast": 0.7, "search": 0.6}[preset]


def test_it_is_stored_in_half_and_computes_in_float32(file):
    numbers = file.teacher.state_dict()
    assert file.path.stat().st_size < 2.5 * sum(t.numel() for t in numbers.values()) + 64 * FEW
    assert {t.dtype for t in numbers.values() if t.is_floating_point()} == {torch.float32}


def test_its_batches_are_images_and_labels_of_its_task(file):
    dataset = gtn_sl.TeacherDataset(file, batches=True)
    images, labels = next(iter(dataset))
    assert images.shape == (dataset.batch_size, *dataset.task.image_shape)
    assert labels.sum(dim=1).allclose(torch.ones(dataset.batch_size), atol=1e-4)
    low, high = dataset.task.value_range
    assert (images.amax(dim=(0, 2, 3)) <= 1.2 * high).all()
    assert (images.amin(dim=(0, 2, 3)) >= low - 0.2 * (high - low)).all()
