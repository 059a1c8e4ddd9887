"""Terminations learned from the real task's."""

import numpy as np
import torch

from gtn_rl.harvest import harvest
from gtn_rl.model import EnvironmentTeacher
from gtn_rl.tasks import make_task
from gtn_rl.terminations import fit_terminations


def fitted(id, episodes=40):
    task = make_task(id)
    gathered = harvest(task, episodes, np.random.default_rng(0))
    mean, std = gathered.normalisation()
    centres = gathered.centres(8, np.random.default_rng(1))
    sizes = {"hidden": (8,), "transition_hidden": (8,), "termination_hidden": (16,), "max_episode_steps": 9}
    teacher = EnvironmentTeacher(task.spec, mean, std, centres, seed=0, **sizes)
    accuracy = fit_terminations(teacher, [gathered], torch.Generator().manual_seed(0), updates=1000)
    return task, teacher, accuracy


def test_falling_poles_end_the_episode():
    task, teacher, accuracy = fitted("CartPole-v1")
    assert accuracy > 0.95
    fresh = harvest(task, 100, np.random.default_rng(5)).transitions
    model = teacher.model()
    said = model.terminated(((fresh.next_observations - model.mean) / model.std).unsqueeze(0))[0]
    assert float((said == fresh.terminated).float().mean()) > 0.93
    assert float(said[fresh.terminated].float().mean()) > 0.95
    said_first = model.terminated(model.initial(50, torch.Generator().manual_seed(0)))
    assert not said_first.all()


def test_a_task_that_never_terminates_ends_nowhere(caplog):
    _, teacher, accuracy = fitted("Pendulum-v1", episodes=3)
    assert accuracy is None
    assert "never terminated" in caplog.text
    model = teacher.model()
    assert not model.terminated(3 * torch.randn(1, 500, 3)).any()
