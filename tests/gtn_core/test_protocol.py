"""Episodes: the lesson of one learner, the teacher's own loss, and fitness under a step plan."""

import copy

import pytest
import torch
from torch import nn

from gtn_core.errors import DeviceError
from gtn_core.estimators import Backprop, Episode, EstimatorConfig, Teacher
from gtn_core.inner_optim import SGD
from gtn_core.inner_schedule import Schedule
from gtn_core.meta_loss import BatchedLoss
from gtn_core.planning.plan import StepPlan


class Wanderer(Teacher):
    """A teacher of a point that is shifted by the learner's seed."""

    def __init__(self):
        super().__init__()
        self.point, self.inner_schedule = nn.Parameter(torch.tensor([0.5, -0.5])), Schedule(3, 0.1, 0.5)
        self.shift, self.asked = 0.0, []

    def for_learner(self, seed):
        lesson = copy.copy(self)
        lesson.shift = float(seed)
        self.asked.append(seed)
        return lesson

    def batch(self, step):
        return (self.point + self.shift,)

    def schedule(self):
        return self.inner_schedule()


def inner_loss(phi, batch):
    return ((phi - batch[0]) ** 2).sum(), ()


def meta_loss(phi, statistics, step):
    return (phi**2).sum()


def episode(**more):
    return Episode(inner_loss, SGD(), torch.ones(2), meta_loss, {3: 1.0}, **more)


def estimated(trial):
    teacher = Wanderer()
    values = Backprop(EstimatorConfig()).estimate(teacher, trial).values
    return teacher, values


def test_estimate_and_fitness_use_lesson_of_episode():
    by_lesson = []
    for lesson in (0, 2):
        teacher, values = estimated(episode(lesson=lesson))
        fitness = episode(lesson=lesson).fitness(teacher, teacher.theta()[None])
        assert set(teacher.asked) == {lesson}
        assert values["meta/loss"] == pytest.approx(-float(fitness))
        by_lesson.append(values["meta/loss"])
    assert by_lesson[0] != pytest.approx(by_lesson[1])


def test_default_lesson_is_teacher_itself():
    teacher = Teacher()
    assert teacher.for_learner(3) is teacher


def test_teacher_loss_adds_its_gradient_and_value():
    def own(teacher):
        return 7 * teacher.point.square().sum()

    plain, values = estimated(episode())
    both, more = estimated(episode(teacher_loss=own))
    torch.testing.assert_close(both.point.grad - plain.point.grad, 14 * plain.point.detach())
    assert "meta/teacher_loss" not in values
    assert more["meta/teacher_loss"] == pytest.approx(3.5)
    theta = plain.theta()[None]
    difference = episode().fitness(plain, theta) - episode(teacher_loss=own).fitness(plain, theta)
    torch.testing.assert_close(difference, torch.tensor([3.5]))


def test_fitness_leaves_teacher_unchanged_while_judging():
    teacher, seen = Wanderer(), []
    before = teacher.theta()

    def judge(phi, statistics, step):
        seen.append(teacher.theta())
        return (phi**2).sum()

    trial = Episode(inner_loss, SGD(), torch.ones(2), judge, {3: 1.0})
    fitness = trial.fitness(teacher, torch.stack([before, before + 1]))
    assert fitness[0] != fitness[1]
    assert all(torch.equal(theta, before) for theta in seen)  # a signal may have the teacher saved at any moment


def test_fitness_obeys_judge_chunk_of_plan():
    sizes, real = [], torch.linspace(-1, 1, 10)

    def judge(phi, statistics, batch):
        sizes.append(len(batch[0]))
        return (phi.sum() - batch[0]).square().mean()

    def fitness(plan):
        trial = Episode(inner_loss, SGD(), torch.ones(2), BatchedLoss(judge, {3: (real,)}), {3: 1.0}, plan=plan)
        return trial.fitness(Wanderer(), Wanderer().theta()[None])

    whole, parts = fitness(StepPlan()), fitness(StepPlan(judge_chunk=4))
    assert sizes == [10, 4, 4, 2]
    torch.testing.assert_close(parts, whole)


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without CUDA")
def test_fitness_obeys_execution_of_plan():
    with pytest.raises(DeviceError, match="captured only on a GPU"):
        episode(plan=StepPlan(execution="captured")).fitness(Wanderer(), Wanderer().theta()[None])
