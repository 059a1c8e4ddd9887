"""Every combination of curriculum, generator and labels: compatible ones teach and differentiate, others raise."""

import dataclasses
import itertools
import re
from pathlib import Path

import pytest
import torch

from gtn_core.errors import UsageError
from gtn_core.estimators import Backprop, Episode, EstimatorConfig
from gtn_core.planning.plan import StepPlan
from gtn_sl.combinations import refuse_impossible
from gtn_sl.config import resolve_config
from gtn_sl.curricula import CURRICULA
from gtn_sl.data import TASKS
from gtn_sl.generators import GENERATORS
from gtn_sl.labels import LABELS
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss
from gtn_sl.teacher import seeded_teacher

STEPS, BATCH, CLASSES = 3, 6, 10
TASK = TASKS["digits"]


def config(curriculum, generator, labels, **teacher):
    settings = {
        "teacher": {
            **{"curriculum": curriculum, "generator": generator, "labels": labels, "warm_start": 0},
            **{"hidden": 5, "channels": [3, 2], "latent": 4},
            **teacher,
        },
        "inner": {"steps": STEPS, "batch_size": BATCH, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9},
        "outer": {"iterations": 1},
    }
    return resolve_config("digits", "fast", settings)


def goes_together(settings):
    try:
        refuse_impossible(settings)
    except UsageError:
        return False
    return True


EVERY = list(itertools.product(sorted(CURRICULA), sorted(GENERATORS), sorted(LABELS)))
ALLOWED = [names for names in EVERY if goes_together(config(*names))]
REFUSED = [names for names in EVERY if names not in ALLOWED]


def joined(names):
    return "-".join(names)


def test_number_of_compatible_combinations_is_as_recorded():
    """Guards the parametrized tests: a rule that rejects too much would otherwise go unnoticed."""
    assert len(ALLOWED) == 68
    for registry, place in ((CURRICULA, 0), (GENERATORS, 1), (LABELS, 2)):
        assert {names[place] for names in ALLOWED} == set(registry)


def test_docs_list_exactly_compatible_combinations():
    page = (Path(__file__).parents[2] / "docs" / "teachers.md").read_text()
    head, _, *rows = page.partition("## What goes together\n")[2].partition("\n\n")[0].splitlines()
    cells = [[re.findall(r"`([\w-]+)`", cell) for cell in row.strip("|").split("|")] for row in (head, *rows)]
    said = {
        (curriculum, generator, labels)
        for curricula, *kinds in cells[1:]
        for generators, row in zip(cells[0][1:], kinds, strict=True)
        for curriculum, generator, labels in itertools.product(curricula, generators, row)
    }
    assert {names for names in said if names[0] in CURRICULA} == set(ALLOWED)


@pytest.mark.parametrize("names", REFUSED, ids=joined)
def test_incompatible_combination_raises_with_reason(names):
    with pytest.raises(UsageError, match=r"^teacher\.\w+=\S+ with teacher\.\w+=\S+: .{40}") as caught:
        seeded_teacher(config(*names), TASK, 0)
    for key, value in re.findall(r"teacher\.(curriculum|generator|labels)=(\S+?)(?: with|: )", str(caught.value)):
        assert value == names[("curriculum", "generator", "labels").index(key)]


def test_error_lists_all_incompatible_settings():
    with pytest.raises(UsageError) as caught:
        refuse_impossible(resolve_config("digits", "fast", {"teacher": {"curriculum": "none", "samples": 20}}))
    said = str(caught.value)
    assert all(f"teacher.{key} with" in said for key in ("labels=soft", "samples=20", "warm_start=60"))


@pytest.mark.parametrize("names", ALLOWED, ids=joined)
def test_lesson_is_reproducible_and_holds_valid_batches(names):
    teacher = seeded_teacher(config(*names), TASK, 0)
    lesson, same, other = (teacher.for_learner(seed) for seed in (5, 5, 6))
    differs = False
    for step in range(STEPS):
        images, labels = lesson.batch(step)
        assert images.shape == (BATCH, *TASK.image_shape)
        assert torch.isfinite(images).all()
        torch.testing.assert_close(labels.sum(dim=1), torch.ones(BATCH))
        assert (labels >= 0).all()
        for a, b, c in zip(same.batch(step), lesson.batch(step), other.batch(step), strict=True):
            assert torch.equal(a, b)
            differs = differs or not torch.equal(a, c)
    drawn = names[0] in ("shuffled-batches", "all-shuffled", "gaussian", "none") or names[2] == "random"
    assert differs == drawn
    for step in (-1, STEPS):
        with pytest.raises(IndexError, match="step must be from 0 to 2"):
            lesson.batch(step)


@pytest.mark.parametrize("names", ALLOWED, ids=joined)
@pytest.mark.parametrize("weight_norm", [True, False], ids=["normed", "plain"])
def test_meta_gradient_equals_plain_autograd(names, weight_norm):
    teacher = seeded_teacher(config(*names, weight_norm=weight_norm), TASK, 0).double()
    with torch.no_grad():  # parameters that start at zero would hide gradients through them
        for parameter in teacher.trained():
            parameter += 0.1 * (parameter == 0)
    trial, trained = episode(closed_loop=teacher.closed_loop), teacher.trained()
    expected = torch.autograd.grad(unrolled(teacher, trial), trained, materialize_grads=True, allow_unused=True)
    Backprop(EstimatorConfig()).estimate(teacher, trial)
    size = torch.cat([gradient.flatten() for gradient in expected]).norm()
    assert size > 1e-6, "the gradient vanishes: the test would prove nothing"
    for parameter, gradient in zip(trained, expected, strict=True):
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        assert found.dtype == torch.float64
        assert (found - gradient).norm() < 1e-10 * size


def episode(closed_loop):
    learner, phi = architecture("base_fc:2,3,4").fresh(TASK, 0, "contiguous")
    random = torch.Generator().manual_seed(0)
    real = torch.randn(9, *TASK.image_shape, generator=random, dtype=torch.float64)
    classes = torch.randint(CLASSES, (9,), generator=random)

    def meta_loss(phi, statistics, step):
        logits, _ = learner.apply(phi, real, statistics)
        return torch.nn.functional.cross_entropy(logits, classes)

    teacher_optimizer = seeded_teacher(config("full", "pixels", "soft"), TASK, 0).optimizer.bind(learner, phi.double())
    weights = {2: 0.5, STEPS: 1.0}
    loss = inner_loss(learner, StepPlan(), closed_loop=closed_loop)
    return Episode(loss, teacher_optimizer, phi.double(), meta_loss, weights, lesson=7)


def unrolled(teacher, trial):
    """Returns the weighted meta-loss as one graph over the teacher and all steps; shares no code with the adjoint."""
    lesson = teacher.for_learner(trial.lesson)
    phi, (lr, momentum), total = trial.phi.clone().requires_grad_(), lesson.schedule(), 0.0
    buffer, progress = torch.zeros_like(phi), None
    for step in range(STEPS):
        loss, statistics, *said = trial.loss(phi, lesson.batch_for(step, progress))
        progress = said[0] if said else None
        (grad,) = torch.autograd.grad(loss, phi, create_graph=True)
        buffer = momentum[step] * buffer + grad
        phi = phi - lr[step] * buffer
        if step + 1 in trial.weights:
            total = total + trial.weights[step + 1] * trial.meta_loss(phi, statistics, step + 1)
    return total


@pytest.mark.parametrize("names", [n for n in ALLOWED if CURRICULA[n[0]].noise.has_samples], ids=joined)
def test_few_samples_are_reused_equally_often(names):
    teacher = seeded_teacher(config(*names, samples=9), TASK, 0)
    samples = teacher.for_learner(0).lesson.samples
    assert torch.equal(samples.flatten().bincount(), torch.full((9,), 2))
    images = torch.cat([teacher.for_learner(0).batch(step)[0] for step in range(STEPS)])
    assert images.shape[0] == STEPS * BATCH
    for parameter in teacher.curriculum.parameters():
        assert parameter.shape == (9, teacher.curriculum.latent)


def test_number_of_samples_out_of_range_is_rejected():
    for samples in (BATCH - 1, STEPS * BATCH + 1):
        with pytest.raises(UsageError, match=rf"teacher\.samples={samples} does not fit .* expected 6 .* = 18"):
            seeded_teacher(config("full", "pixels", "soft", samples=samples), TASK, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 6}, "teacher.samples=6 with teacher.curriculum=none"),
        ({"warm_start": 3}, "teacher.warm_start=3 with teacher.curriculum=none"),
    ],
)
def test_fresh_noise_rejects_samples_and_warm_start(change, words):
    with pytest.raises(UsageError, match=words):
        seeded_teacher(config("none", "conditional", "one-hot", **change), TASK, 0)


def test_batch_size_one_is_accepted_only_for_pixels():
    def single(generator):
        settings = config("full", generator, "soft")
        return dataclasses.replace(settings, inner=dataclasses.replace(settings.inner, batch_size=1))

    assert seeded_teacher(single("pixels"), TASK, 0).batch(0)[0].shape == (1, 1, 8, 8)
    with pytest.raises(UsageError, match=r"inner\.batch_size=1 with teacher\.generator=conditional"):
        seeded_teacher(single("conditional"), TASK, 0)


def test_teacher_without_anything_to_learn_is_rejected():
    def fixed(*names):
        settings = config(*names)
        return dataclasses.replace(settings, inner=dataclasses.replace(settings.inner, learn_schedule=False))

    with pytest.raises(UsageError, match=r"inner\.learn_schedule=False: nothing is left to meta-learn"):
        seeded_teacher(fixed("random-fixed", "pixels", "one-hot"), TASK, 0)
    for names in ALLOWED:
        if names != ("random-fixed", "pixels", "one-hot"):
            assert seeded_teacher(fixed(*names), TASK, 0).trained()
    assert seeded_teacher(config("random-fixed", "pixels", "one-hot"), TASK, 0).trained()
