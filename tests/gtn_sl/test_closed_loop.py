"""Closed-loop teachers: initial state, feedback, evaluation, evolution strategies, resume, and files."""

import dataclasses
import math
import signal

import pytest
import torch

from gtn_core.checkpoint import load_checkpoint
from gtn_core.estimators import SNES, Backprop, EstimatorConfig
from gtn_core.outer_loop import InterruptedRun
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.unroll import run
from gtn_sl.closed_loop import skill
from gtn_sl.config import resolve_config
from gtn_sl.data import load_task
from gtn_sl.evaluation import accuracy, evaluate_stream
from gtn_sl.job import SupervisedJob
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_teacher
from gtn_sl.training import meta_train
from gtn_sl.warm_start import warm_start

LEARNER = "base_fc:6,8,10"
SMALL = {
    "teacher": {"curriculum": "closed-loop", "hidden": 16, "channels": [4, 2], "latent": 8, "warm_start": 2},
    "inner": {"steps": 4, "batch_size": 20},
    "learner": {"architecture": LEARNER, "random_widths": [[4, 8], [6, 10], [8, 12]]},
    "meta_loss": {"batch_size": 64, "every": 2, "intermediate_batch_size": 16},
    "outer": {"iterations": 6, "lr": 0.01, "validations": 2},
    "validation": {"learners": 2},
    "compute": {"plan": {"keep_last_k": 2}, "threads": 1},
}


@pytest.fixture(scope="module")
def data():
    return load_task("digits")


@pytest.fixture
def config():
    return resolve_config("digits", "fast", SMALL)


@pytest.fixture
def teacher(config, data):
    """A teacher with non-zero feedback, as after some meta-training."""
    teacher = seeded_teacher(config, data.task, 0)
    torch.nn.init.normal_(teacher.feedback.offset.weight, generator=torch.Generator().manual_seed(0))
    return teacher


def gradients(config, data, teacher, tmp_path):
    episode = SupervisedJob(config, data, teacher, StepPlan(), RunFolder(tmp_path)).episode(0, 0.0)
    Backprop(EstimatorConfig()).estimate(teacher, episode)
    return {name: p.grad for name, p in teacher.named_parameters() if p.grad is not None}


def test_initial_feedback_is_neutral_but_receives_gradient(config, data, tmp_path):
    opened = dataclasses.replace(config, teacher=dataclasses.replace(config.teacher, curriculum="full"))
    both = [seeded_teacher(settings, data.task, 3) for settings in (config, opened)]
    for each in both:
        warm_start(each, data, 2, Streams(0))
    closed, full = (gradients(c, data, t, tmp_path) for c, t in zip((config, opened), both, strict=True))
    assert set(closed) - set(full) == {"feedback.offset.weight", "feedback.hidden.weight", "feedback.hidden.bias"}
    assert all(torch.equal(closed[name], full[name]) for name in full)
    assert closed["feedback.offset.weight"].norm() > 0


def test_skill_is_zero_for_guessing_and_one_for_perfection():
    torch.testing.assert_close(skill(torch.tensor([math.log(4), 0.25, 0.25, 0.25, 0.25])), torch.zeros(5))
    torch.testing.assert_close(skill(torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0])), torch.ones(5))


def test_learner_progress_changes_images_but_not_labels(teacher):
    batches = [teacher.batch_for(1, torch.tensor([loss, *[0.5] * 10])) for loss in (0.5, 2.0)]
    assert (batches[0][0] - batches[1][0]).abs().max() > 0.01
    assert torch.equal(batches[0][1], batches[1][1])


def test_evaluation_applies_feedback_as_in_meta_training(config, data, teacher, tmp_path):
    result = evaluate_stream("closed", teacher, LEARNER, data, data.validation, [5])
    learner, phi = architecture(LEARNER).fresh(data.task, 5, "contiguous")
    episode = SupervisedJob(config, data, teacher, StepPlan(), RunFolder(tmp_path)).episode(0, 0.0)
    loss, optimizer = inner_loss(learner, StepPlan(), closed_loop=True), teacher.optimizer.bind(learner, phi)
    same = dataclasses.replace(episode, loss=loss, optimizer=optimizer, phi=phi)
    trail = run(same.inner_loop(teacher.for_learner(5)))
    assert accuracy(learner, trail.final, trail.statistics[-1], data, data.validation) == result.final[0]
    torch.nn.init.zeros_(teacher.feedback.offset.weight)
    blind = run(same.inner_loop(teacher.for_learner(5)))
    assert not torch.allclose(blind.final, trail.final)


def test_missing_progress_after_first_step_raises(teacher):
    teacher.batch_for(0, None)
    with pytest.raises(ValueError, match="closed_loop=True"):
        teacher.batch_for(1, None)


def test_evolution_strategy_gives_feedback_gradient(config, data, teacher, tmp_path):
    episode = SupervisedJob(config, data, teacher, StepPlan(), RunFolder(tmp_path)).episode(0, 0.0)
    SNES(EstimatorConfig(population=2)).estimate(teacher, episode)
    assert teacher.feedback.hidden.weight.grad.norm() > 0


def test_resumed_closed_loop_run_matches_uninterrupted_run(config, tmp_path):
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    meta_train(config, whole)

    def interrupt(progress, share, values):
        if progress.iteration == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRun):
        meta_train(config, parts, listener=interrupt)
    meta_train(resolve_config("digits", "fast", parts.read_config()), parts, resume=True)
    states = [load_checkpoint(folder.state, "training-state")[0] for folder in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert states[0]["teacher.feedback.offset.weight"].norm() > 0
    assert load_teacher(whole.teacher).teacher.closed_loop
    teachers = [load_checkpoint(folder.teacher, "teacher")[0] for folder in (whole, parts)]
    assert all(torch.equal(teachers[0][name], teachers[1][name]) for name in teachers[0])
