"""Teachers: their files, seeds and parameter groups, and rejection of inconsistent files and settings."""

import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gtn_core.errors import CheckpointError, UsageError
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.teacher import SupervisedTeacher, seeded_teacher
from gtn_sl.teacher_file import load_teacher, save_teacher

SMALL = {
    "teacher": {"hidden": 8, "channels": [4, 2], "latent": 3, "warm_start": 0},
    "inner": {"steps": 3, "batch_size": 12},
    "learner": {"architecture": "base_fc:2,3,4", "random_widths": [[2, 4], [3, 5], [4, 6]]},
}


@pytest.fixture
def config():
    return resolve_config("digits", "fast", SMALL, {"outer": {"iterations": 2}})


@pytest.fixture
def saved(tmp_path, config):
    path = tmp_path / "teacher.safetensors"
    save_teacher(path, seeded_teacher(config, TASKS["digits"], 5), config, {"real/validation_accuracy": 0.5})
    return path


def test_saved_teacher_loads_with_equal_batches(saved, config):
    file = load_teacher(saved)
    original = seeded_teacher(config, TASKS["digits"], 5)
    for step in range(3):
        for a, b in zip(file.teacher.batch(step), original.batch(step), strict=True):
            assert torch.equal(a, b)
    assert file.config == dataclasses.replace(config, data_dir=None)
    assert file.document["metrics"] == {"real/validation_accuracy": 0.5}
    assert load_teacher(saved.parent).path == saved


def rewrite(path, change):
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["gtn"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(document, tensors)
    save_file(tensors, path, {"gtn": json.dumps(document)})


NEWER = {
    "teacher": ("generator", "weight_norm", "samples"),
    "inner": ("grow", "first_steps"),
    "meta_loss": ("autoencoder",),
}


def test_old_file_without_newer_settings_loads(saved, config):
    def forget(document, tensors):
        for part, keys in NEWER.items():
            for key in keys:
                del document["config"][part][key]
        assert tensors["curriculum.noise"].shape == (3, 12, 3)
        assert tensors["labels.logits"].shape == (3, 12, 10)
        assert tensors["labels.classes_of_batch"].shape == (12,)

    rewrite(saved, forget)
    file, original = load_teacher(saved), seeded_teacher(config, TASKS["digits"], 5)
    assert torch.equal(file.teacher.batch(2)[0], original.batch(2)[0])
    assert file.config == dataclasses.replace(config, data_dir=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, t: d.update(domain="rl"), "holds a 'rl' teacher"),
        (lambda d, t: d.pop("task"), "lacks 'task'"),
        (
            lambda d, t: d.update(task="digit"),
            "does not describe a valid teacher: unknown task 'digit'; did you mean 'digits'",
        ),
        (lambda d, t: d.update(image_shape=[1, 9, 9]), "image shape, classes or normalisation"),
        (lambda d, t: d.update(config=3), "lacks 'config'"),
        (lambda d, t: d["config"]["inner"].update(step=1), r"unknown config key 'inner\.step'"),
        (lambda d, t: d["config"]["teacher"].update(latent=4), "its architecture needs"),
        (lambda d, t: t.pop("curriculum.noise"), "lacks the tensor 'curriculum.noise'"),
    ],
)
def test_load_teacher_rejects_inconsistent_file(saved, change, words):
    rewrite(saved, change)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_teacher(saved)
    assert str(saved) in str(caught.value)


def test_seeded_teacher_is_determined_by_seed(config):
    a, b, c = (seeded_teacher(config, TASKS["digits"], seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"curriculum": "ful"}, "unknown curriculum 'ful'; did you mean 'full'"),
        ({"generator": "dcgn"}, "unknown generator 'dcgn'; did you mean 'dcgan'"),
        ({"labels": "sof"}, "unknown label kind 'sof'; did you mean 'soft'"),
    ],
)
def test_unknown_part_error_suggests_nearest_name(config, change, words):
    wrong = dataclasses.replace(config, teacher=dataclasses.replace(config.teacher, **change))
    with pytest.raises(UsageError, match=words):
        SupervisedTeacher(wrong, TASKS["digits"])


def test_invalid_momentum_raises_usage_error(config):
    wrong = dataclasses.replace(config, inner=dataclasses.replace(config.inner, momentum=1.5))
    with pytest.raises(UsageError, match="do not describe a valid teacher: expected lr > 0"):
        SupervisedTeacher(wrong, TASKS["digits"])


def test_parameter_groups_hold_every_parameter_once(config):
    teacher = seeded_teacher(config, TASKS["digits"], 0)
    grouped = [p for _, parameters in teacher.parameter_groups() for p in parameters]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(teacher.parameters()))
