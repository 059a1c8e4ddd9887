"""Students of the stage ``distil``: what they learn from a reward, and how they vary across candidates and draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gtn_rl.agents.distillation import Student, draw_student

SMALL = Student(updates=150, lr=1e-2, hidden=(32, 32))


def seed(number=0):
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize("kind", ["actor", "critic"])
def test_student_learns_greedy_policy_of_reward(teacher, kind):
    model = teacher.model()
    x = model.initial(300, seed(1))
    learned = replace(SMALL, kind=kind).train(model, seed()).outputs(model.observe(x))
    untaught = replace(SMALL, kind=kind, updates=0).train(model, seed()).outputs(model.observe(x))
    if teacher.spec.discrete:
        best = model.table(x).argmax(dim=2)
        right, before = ((outputs.argmax(dim=2) == best).float().mean() for outputs in (learned, untaught))
        assert right > max(0.85, before)
    else:
        error, before = ((outputs - model.targets(x)).square().mean() for outputs in (learned, untaught))
        assert error < 0.1 * before


def test_candidates_train_separate_students_from_equal_weights(teacher):
    theta = teacher.theta()
    model = teacher.variants(torch.stack([theta, theta, theta + 0.5]))
    outputs = SMALL.train(model, seed()).outputs(model.observe(model.initial(20, seed(1)))[:1].expand(3, -1, -1))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])
    alone = teacher.variants((theta + 0.5)[None])
    again = SMALL.train(alone, seed()).outputs(model.observe(model.initial(20, seed(1)))[:1])
    torch.testing.assert_close(again[0], outputs[2], atol=1e-3, rtol=1e-3)


def test_student_learns_from_noisy_targets_less_exactly(make_teacher, task):
    if task.spec.discrete:
        pytest.skip("the rewards of all discrete actions are told")
    model = make_teacher(task, "bandit").model()
    x = model.initial(300, seed(1))
    clear, noisy, untaught = (
        (student.train(model, seed()).outputs(model.observe(x)) - model.targets(x)).square().mean()
        for student in (SMALL, replace(SMALL, noise=2.0), replace(SMALL, updates=0))
    )
    assert clear < noisy < untaught


def test_drawn_students_vary_and_noise_grows_with_progress():
    drawn = [draw_student(np.random.default_rng(number), progress=0.5) for number in range(20)]
    assert {student.kind for student in drawn} == {"actor", "critic"}
    assert {student.noise for student in drawn} == {0.0, 0.25, 0.5}
    assert len({student.lr for student in drawn}) == 20
    assert {draw_student(np.random.default_rng(number), progress=0.0).noise for number in range(20)} == {0.0}
