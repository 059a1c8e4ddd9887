"""Classifiers trained on a teacher: agreement with evaluation, inputs, files, and devices."""

import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gtn_core.errors import CheckpointError, UsageError
from gtn_core.planning.plan import StepPlan
from gtn_sl import load_learner, load_task, load_teacher, save_learner, train_learner
from gtn_sl.evaluation import accuracy_of, evaluate_stream
from gtn_sl.judging import EvaluationPlan, judge, step_plan


@pytest.fixture(scope="module")
def data():
    return load_task("digits")


@pytest.fixture(scope="module")
def classifier(teacher_path):
    return train_learner(teacher_path, seed=1)


@pytest.mark.parametrize("learner", ["base_fc:4,6,8", "base_fc_maxpool:4,6,8"])
def test_train_learner_matches_accuracy_in_evaluation(teacher_path, data, learner):
    file = load_teacher(teacher_path)
    measured = evaluate_stream("", file.teacher, learner, data, data.test, [1], plan=step_plan(file)).final[0]
    assert accuracy_of(train_learner(file, learner, seed=1), data.test) == pytest.approx(measured)


def test_train_learner_is_determined_by_seed(teacher_path, classifier, data):
    few = data.test.images[:20]
    assert torch.equal(train_learner(teacher_path, seed=1)(few), classifier(few))
    assert not torch.equal(train_learner(teacher_path, seed=2)(few), classifier(few))


def test_classifier_checks_image_dtype_and_shape(classifier, data):
    few = data.test.images[:20]
    assert torch.allclose(classifier(few), classifier(few.float() / 255))
    assert torch.equal(classifier(few), classifier(few.numpy()))
    for dtype in (torch.float64, torch.float16):
        assert torch.allclose(classifier(few), classifier((few / 255).to(dtype)), atol=0.01)
    assert classifier.class_names == data.task.class_names
    assert not classifier.training
    with pytest.raises(ValueError, match=r"expects bytes .* not torch\.int64"):
        classifier(few.long())
    with pytest.raises(ValueError, match=r"expects images \('N', 1, 8, 8\), not \(20, 8, 8\)"):
        classifier(few[:, 0])


def test_saved_learner_loads_with_equal_outputs(classifier, tmp_path, data):
    path = tmp_path / "model.safetensors"
    save_learner(path, classifier, test_accuracy=0.5)
    loaded = load_learner(path)
    few = data.test.images[:50]
    assert torch.equal(loaded(few), classifier(few))
    torch.testing.assert_close(loaded(few[:1]), classifier(few)[:1])  # other batch sizes sum in another order
    assert not loaded.training
    assert loaded.document["test_accuracy"] == 0.5
    assert loaded.document["teacher"] == "small"
    assert loaded.document["seed"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda d: d.update(learner="base_fd"),
            "does not describe a valid learner: unknown learner 'base_fd'; did you mean 'base_fc",
        ),
        (lambda d: d.pop("mean"), "lacks 'mean'"),
        (lambda d: d.update(learner="base_fc:4,6,9"), "its architecture needs"),
        (lambda d: d.update(kind="teacher"), "holds a 'teacher', not a 'learner'"),
    ],
)
def test_load_learner_rejects_inconsistent_file(classifier, tmp_path, change, words):
    path = tmp_path / "model.safetensors"
    save_learner(path, classifier)
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["gtn"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(document)
    save_file(tensors, path, {"gtn": json.dumps(document)})
    with pytest.raises(CheckpointError, match=words):
        load_learner(path)


def test_train_learner_rejects_unknown_architecture(teacher_path):
    with pytest.raises(UsageError, match="unknown learner"):
        train_learner(teacher_path, "no_such_net")


def test_step_plan_replaces_captured_by_eager_execution():
    file = load_teacher("digits")
    compute = dataclasses.replace(file.config.compute, plan=StepPlan(execution="captured", layout="channels_last"))
    made = dataclasses.replace(file, config=dataclasses.replace(file.config, compute=compute))
    assert step_plan(made) == StepPlan(layout="channels_last")


def test_use_on_another_device_does_not_move_loaded_teacher(teacher_path, data):
    file = load_teacher(teacher_path)
    for use in (
        lambda: train_learner(file, device="meta"),
        lambda: judge(file, data, EvaluationPlan(["base_fc:4,6,8"], count=1, controls=(), device="meta")),
    ):
        with pytest.raises((RuntimeError, NotImplementedError)):  # the meta device computes nothing
            use()
        assert {p.device.type for p in file.teacher.parameters()} == {"cpu"}
