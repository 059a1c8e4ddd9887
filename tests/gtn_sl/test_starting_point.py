"""A trained teacher as the start of another run: its parameters, settings, provenance, and invalid starts."""

import dataclasses

import numpy as np
import pytest
import torch

from gtn_core.checkpoint import save_checkpoint
from gtn_core.config import resolve
from gtn_core.errors import CheckpointError, UsageError
from gtn_core.run_folder import RunFolder
from gtn_sl.config import MetaTrainConfig, resolve_config
from gtn_sl.data import load_task
from gtn_sl.provenance import cpu_seconds_of
from gtn_sl.starting_point import settings_not_kept, take_over
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_teacher, save_teacher
from gtn_sl.training import meta_train

FIRST = {
    "teacher": {"hidden": 16, "channels": [4, 2], "latent": 8, "warm_start": 1, "noise_lr": 3.0},
    "inner": {"steps": 4, "batch_size": 20, "lr": 0.004, "grow": 0.5},
    "outer": {"iterations": 2, "lr": 0.01, "validations": 1},
    "meta_loss": {"batch_size": 32, "every": 0},
}
LEARNERS = {"learner": {"architecture": "base_fc:4,6,8"}, "validation": {"learners": 1, "images": 50}}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("runs") / "first")
    meta_train(resolve_config("digits", "fast", FIRST, LEARNERS), run, command="gtn-cli made it")
    return run


def going_on(start, *layers, task="digits", iterations=0):
    outer = {"outer": {"iterations": iterations, "lr": 0.01, "validations": 1}}
    return resolve_config(task, "fast", {"teacher": {"start": str(start)}}, LEARNERS, outer, *layers)


@pytest.mark.parametrize("named", ["folder", "file"])
def test_run_takes_over_start_teacher_and_records_provenance(first, named, tmp_path):
    run, before = RunFolder(tmp_path / "run"), load_teacher(first.teacher)
    meta_train(going_on(first.path if named == "folder" else first.teacher), run, command="gtn-cli goes on")
    after = load_teacher(run.teacher)
    for name, tensor in before.teacher.state_dict().items():
        assert torch.equal(after.teacher.state_dict()[name], tensor), name
    assert after.document["provenance"]["command"] == "gtn-cli goes on"
    told = after.document["provenance"]["start"]
    assert told["teacher"] == after.config.teacher.start == "first"
    assert told["provenance"] == before.document["provenance"]
    assert told["metrics"] == before.document["metrics"]


def test_log_says_which_settings_of_the_start_are_not_kept(first, tmp_path, caplog):
    same = going_on(first.path, {"meta_loss": FIRST["meta_loss"]})
    assert settings_not_kept(same) == []
    caplog.set_level("INFO")
    other = {"learner": {"architecture": "base_fc:5,6,8"}, "meta_loss": {"batch_size": 32, "every": 2}}
    meta_train(going_on(first.path, other), RunFolder(tmp_path / "run"))
    told = "learner.architecture=base_fc:5,6,8 (base_fc:4,6,8), meta_loss.every=2 (0)"
    assert sum(told in message for message in caplog.messages) == 1
    assert settings_not_kept(resolve_config("digits", "fast", FIRST)) == []


def test_cpu_seconds_include_those_of_start_teachers():
    first = {"provenance": {"cpu_seconds": 100.0}}
    second = {"provenance": {"cpu_seconds": 20.0, "start": {"teacher": "first", **first}}}
    third = {"provenance": {"cpu_seconds": 3.0, "start": {"teacher": "second", **second}}}
    assert [cpu_seconds_of(document) for document in (first, second, third)] == [100, 120, 123]
    assert cpu_seconds_of({"provenance": {"cpu_seconds": 20.0, "start": {"teacher": "made from Python"}}}) is None


def test_provenance_without_start_teacher_has_no_start(first):
    assert "start" not in load_teacher(first.teacher).document["provenance"]


def test_start_teacher_settings_override_preset_but_not_user(first):
    config = going_on(first.path, {"teacher": {"noise_lr": 2.0}, "inner": {"eps": 0.5}})
    assert (config.teacher.latent, config.inner.steps, config.inner.batch_size, config.inner.lr) == (8, 4, 20, 0.004)
    assert (config.teacher.noise_lr, config.inner.eps) == (2.0, 0.5)
    assert (config.teacher.warm_start, config.inner.grow) == (0, 0)  # a trained teacher needs neither
    assert config.meta_loss == resolve_config("digits", "fast").meta_loss


def test_last_layer_sets_start_teacher(first):
    config = going_on("no such teacher", {"teacher": {"start": str(first.path)}})
    assert config.teacher.start == str(first.teacher.absolute())
    assert going_on("no such teacher", {"teacher": {"start": None}}).teacher.start is None


def test_shipped_start_teacher_keeps_its_name():
    config = going_on("mnist-base_fc", task="mnist")
    assert (config.teacher.start, config.inner.batch_size, config.inner.fan_in) == ("mnist-base_fc", 128, 0)


@pytest.mark.parametrize(
    ("start", "settings", "words"),
    [
        ("mnist", {}, "has images of 1x28x28 in 10 classes, but digits has 1x8x8 in 10 classes"),
        ("digitz", {}, "teacher.start: unknown teacher 'digitz'; did you mean 'digits'"),
        ("absent.safetensors", {}, "teacher.start: file absent.safetensors does not exist"),
        ("digits", {"teacher": {"start": 3}}, "teacher.start"),
        (
            "digits",
            {"inner": {"steps": 8}},
            "inner.steps=8: .* from digits must keep its inner.steps=128 or take a multiple of it",
        ),
        ("digits", {"inner": {"steps": 96}}, "inner.steps=96: .* must keep its inner.steps=128 or take a multiple"),
        ("digits", {"inner": {"lr": 0.1}}, "inner.lr=0.1: .* must keep its inner.lr=0.005"),
        (
            "digits",
            {"teacher": {"channels": [8, 4]}},
            r"teacher.channels=\(8, 4\): .* must keep its teacher.channels=\(32, 16\)",
        ),
        ("digits", {"teacher": {"warm_start": 60}}, "teacher.warm_start=60: .* must keep its teacher.warm_start=0"),
    ],
)
def test_invalid_start_and_changed_form_are_rejected(start, settings, words):
    with pytest.raises(UsageError, match=words):
        going_on(start, settings)


def test_checkpoint_of_other_domain_is_rejected_as_start(tmp_path):
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, {"x": torch.zeros(1)}, {"kind": "teacher", "domain": "other"})
    with pytest.raises(UsageError, match=r"teacher.start: .*other.safetensors is not a teacher of images"):
        going_on(path)


def test_resume_does_not_need_file_of_start_teacher(first, tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(first.teacher.read_bytes())
    run = RunFolder(tmp_path / "run")
    meta_train(going_on(copy, iterations=1), run)
    copy.unlink()
    config = resolve(MetaTrainConfig, run.read_config())
    with pytest.raises(UsageError, match=r"run was started with a different seed, inner\.steps: a resumed run keeps"):
        meta_train(
            dataclasses.replace(config, seed=9, inner=dataclasses.replace(config.inner, steps=1)), run, resume=True
        )
    meta_train(dataclasses.replace(config, outer=dataclasses.replace(config.outer, iterations=2)), run, resume=True)
    told = load_teacher(run.teacher).document
    assert told["provenance"]["outer_steps"] == 2
    assert told["provenance"]["start"]["teacher"] == told["config"]["teacher"]["start"] == "mine"


def test_best_score_stays_initial_if_training_makes_worse(first, tmp_path):
    run = RunFolder(tmp_path / "run")
    worse = {"outer": {"lr": 50.0, "optimizer": "sgd", "iterations": 1}, "inner": {"learn_schedule": False}}
    progress = meta_train(going_on(first.path, worse), run)
    scores = [row["real/score"] for row in run.metric_rows() if "real/score" in row]
    assert scores[-1] < scores[0] == progress.best
    assert progress.best_iteration == 0
    best, start = (load_teacher(file).teacher.state_dict() for file in (run.teacher, first.teacher))
    assert all(torch.equal(best[name], tensor) for name, tensor in start.items())


def test_take_over_keeps_value_range_of_new_task(first):
    task = load_task("digits").task
    brighter = dataclasses.replace(task, mean=tuple(mean + 1 for mean in task.mean))
    fresh = seeded_teacher(going_on(first.path), brighter, 0)
    before = fresh.generator.offset.clone()
    take_over(fresh, str(first.path))
    assert torch.equal(fresh.generator.offset, before)
    assert not torch.equal(fresh.generator.offset, load_teacher(first.teacher).teacher.generator.offset)
    assert np.isfinite(fresh.batch(0)[0].detach().numpy()).all()


@pytest.fixture
def make_short(tmp_path):
    """Returns a function that stores a teacher of four steps with the given settings, and returns it and its path."""

    def make(**settings):
        config = resolve_config("digits", "fast", FIRST, {"teacher": {"warm_start": 0, **settings}})
        teacher, path = seeded_teacher(config, load_task("digits").task, 1), tmp_path / "short.safetensors"
        teacher.inner_schedule.log_lr.data = torch.arange(4.0)
        save_teacher(path, teacher, config, {})
        return teacher, path

    return make


def longer_than(path, times):
    teacher = seeded_teacher(going_on(path, {"inner": {"steps": 4 * times}}), load_task("digits").task, 2)
    take_over(teacher, str(path))
    return teacher


@pytest.mark.parametrize("settings", [{"labels": "soft"}, {"labels": "one-hot", "curriculum": "closed-loop"}])
def test_more_inner_steps_start_with_each_step_of_start_teacher_in_a_row(settings, make_short):
    short, path = make_short(**settings)
    longer = longer_than(path, 3)
    assert torch.equal(longer.inner_schedule.log_lr, torch.arange(4.0).repeat_interleave(3))
    for step in range(12):
        for its, expected in zip(longer.batch(step), short.batch(step // 3), strict=True):
            assert torch.equal(its, expected), step


def test_batches_without_every_class_refuse_more_inner_steps(tmp_path):
    few = {"inner": {"steps": 4, "batch_size": 4}}
    config = resolve_config("digits", "fast", FIRST, few, {"teacher": {"warm_start": 0}})
    path = tmp_path / "few.safetensors"
    save_teacher(path, seeded_teacher(config, load_task("digits").task, 1), config, {})
    with pytest.raises(UsageError, match=r"inner\.steps=8: .* must keep its inner\.steps=4$"):
        going_on(path, {"inner": {"steps": 8}})


@pytest.mark.parametrize("settings", [{"curriculum": "none", "labels": "one-hot"}, {"samples": 20}])
def test_more_inner_steps_leave_what_has_no_row_per_step(settings, make_short):
    short, path = make_short(**settings)
    longer = longer_than(path, 3)
    assert torch.equal(longer.inner_schedule.log_lr, torch.arange(4.0).repeat_interleave(3))
    for name, tensor in short.state_dict().items():
        if not name.startswith("inner_schedule."):
            assert torch.equal(longer.state_dict()[name], tensor), name


def test_run_adds_or_drops_encoder_of_start_teacher(first, tmp_path):
    with_encoder = RunFolder(tmp_path / "with")
    meta_train(going_on(first.path, {"meta_loss": {"autoencoder": 0.1}}), with_encoder)
    assert load_teacher(with_encoder.teacher).teacher.encoder is not None
    without = RunFolder(tmp_path / "without")
    meta_train(going_on(with_encoder.path), without)
    assert load_teacher(without.teacher).teacher.encoder is None


def test_start_teacher_with_missing_tensors_is_rejected(first, tmp_path):
    path = tmp_path / "damaged.safetensors"
    tensors = {"generator.offset": torch.zeros(1, 1, 1)}
    save_checkpoint(path, tensors, dict(load_teacher(first.teacher).document))
    with pytest.raises(CheckpointError, match="lacks the tensor"):
        meta_train(going_on(path), RunFolder(tmp_path / "run"))
