"""The contract of every registered learner, estimator, preset and inner optimizer."""

import dataclasses

import pytest
import torch

from gtn_core.errors import UsageError
from gtn_core.estimators import ESTIMATORS, Episode, EstimatorConfig, Teacher
from gtn_core.inner_optim import INNER_OPTIMIZERS, SGD
from gtn_core.inner_schedule import Schedule
from gtn_core.learner import fresh_learner
from gtn_core.planning.plan import StepPlan
from gtn_core.registry import Registry
from gtn_core.second_order import first_order, second_order
from gtn_sl.config import MetaTrainConfig, resolve_config
from gtn_sl.data import TASKS
from gtn_sl.learners import LEARNERS, architecture
from gtn_sl.losses import inner_loss
from gtn_sl.presets import PRESETS
from gtn_sl.teacher import SupervisedTeacher


def test_registry_rejects_duplicates_and_suggests_names():
    registry = Registry("fruit")
    registry.register("apple")(1)
    with pytest.raises(ValueError, match="fruit 'apple' is already registered"):
        registry.register("apple")(2)
    with pytest.raises(UsageError, match="unknown fruit 'aple'; did you mean 'apple'"):
        registry["aple"]
    assert "pear" not in registry


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_learner_is_pure_trainable_and_twice_differentiable(name, shape):
    family = architecture(name)
    form = dataclasses.replace(family.form, widths=tuple(min(4, width) for width in family.form.widths))
    learner, phi = fresh_learner(lambda: family.module(shape, 5, form), 0)
    images = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    labels = torch.eye(5)[torch.arange(6) % 5]
    loss = inner_loss(learner, StepPlan())
    step = first_order(loss, phi, (images, labels), keep=True)
    assert torch.equal(first_order(loss, phi, (images, labels)).grad, step.grad)
    later = first_order(loss, phi - 0.01 * step.grad, (images, labels))
    assert later.loss < step.loss
    u = torch.randn(phi.shape, generator=torch.Generator().manual_seed(1))
    w = tuple(torch.ones_like(s) for s in step.statistics)
    reverse = second_order(loss, phi, (images, labels), u, w, backend="reverse", step=step)
    forward = second_order(loss, phi, (images, labels), u, w, backend="forward")
    for a, b in zip((reverse[0], *reverse[1]), (forward[0], *forward[1]), strict=True):
        assert (a - b).norm() <= 1e-3 * a.norm()
    logits, _ = learner.apply(phi, images, step.statistics)
    assert logits.shape == (6, 5)


class _Point(Teacher):
    def __init__(self):
        super().__init__()
        self.point, self.inner_schedule = torch.nn.Parameter(torch.zeros(2)), Schedule(3, 0.1, 0.5)

    def batch(self, step):
        return (self.point,)

    def schedule(self):
        return self.inner_schedule()


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_descent_along_estimated_gradient_improves_fitness(name):
    teacher = _Point()

    def inner_loss(phi, batch):
        return ((phi - batch[0]) ** 2).sum(), ()

    def meta_loss(phi, statistics, step):
        return ((phi - torch.tensor([1.0, -1.0])) ** 2).sum()

    episode = Episode(inner_loss, SGD(), torch.zeros(2), meta_loss, {3: 1.0})
    estimator = ESTIMATORS[name](EstimatorConfig())
    before = episode.fitness(teacher, teacher.theta()[None])
    for _ in range(8):  # an evolution strategy's single step is noisy
        teacher.zero_grad()
        estimator.estimate(teacher, episode)
        with torch.no_grad():
            for parameter in teacher.parameters():
                if parameter.grad is not None:
                    parameter -= 0.05 * parameter.grad
    assert episode.fitness(teacher, teacher.theta()[None]) > before
    estimator.load_state(*estimator.state())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_preset_covers_every_task_and_makes_teachers(preset):
    assert set(PRESETS[preset]) == set(TASKS)
    for name, task in TASKS.items():
        config = resolve_config(name, preset)
        assert isinstance(config, MetaTrainConfig)
        assert config.inner.steps * config.inner.batch_size <= 128 * 128
        architecture(config.learner.architecture)
        small = dataclasses.replace(config.teacher, hidden=8, channels=(2, 2))
        teacher = SupervisedTeacher(dataclasses.replace(config, teacher=small), task)
        images, labels = teacher.batch(0)
        assert images.shape == (config.inner.batch_size, *task.image_shape)
        assert labels.shape == (config.inner.batch_size, task.classes)


def test_inner_optimizers_take_descent_steps():
    for name in INNER_OPTIMIZERS:
        optimizer, phi = INNER_OPTIMIZERS[name](), torch.tensor([1.0, -1.0])
        new, _ = optimizer.update(phi, 2 * phi, optimizer.init(phi), torch.tensor(0.01), torch.tensor(0.5))
        assert new.norm() < phi.norm(), name
