"""Termination networks fitted to steps of the real task."""

import dataclasses

import numpy as np
import torch

from gtn_rl.harvest import harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.terminations import fit_terminations
from gtn_rl.tasks import make_task


def fitted(id, episodes=40):
    task = make_task(id)
    return task, *fit(task, episodes)


def fit(task, episodes):
    return fit_to(task, harvest(task, episodes, np.random.default_rng(0)))


def fit_to(task, gathered):
    mean, std = gathered.normalisation()
    centres = gathered.centres(8, np.random.default_rng(1))
    sizes = {"hidden": (8,), "transition_hidden": (8,), "termination_hidden": (16,), "max_episode_steps": 9}
    teacher = EnvironmentTeacher(task.spec, mean, std, centres, seed=0, **sizes)
    accuracy = fit_terminations(teacher, [gathered], torch.Generator().manual_seed(0), updates=1000)
    return teacher, accuracy


def test_fitted_terminations_predict_those_of_fresh_episodes():
    task, teacher, accuracy = fitted("CartPole-v1")
    assert accuracy > 0.95
    fresh = harvest(task, 100, np.random.default_rng(5)).transitions
    model = teacher.model()
    said = model.terminated(((fresh.next_observations - model.mean) / model.std).unsqueeze(0))[0]
    assert float((said == fresh.terminated).float().mean()) > 0.93
    assert float(said[fresh.terminated].float().mean()) > 0.95
    said_first = model.terminated(model.initial(50, torch.Generator().manual_seed(0)))
    assert not said_first.all()


def test_task_that_never_terminates_yields_no_terminations(caplog):
    _, teacher, accuracy = fitted("Pendulum-v1", episodes=3)
    assert accuracy is None
    assert "never terminated" in caplog.text
    model = teacher.model()
    assert not model.terminated(3 * torch.randn(1, 500, 3)).any()


def test_task_that_always_terminates_yields_only_terminations(caplog):
    class OneStep:
        """CartPole in which every step terminates the episode."""

        def __init__(self):
            self.cartpole = make_task("CartPole-v1")

        def __getattr__(self, name):
            return getattr(self.cartpole, name)

        def step(self, state, actions):
            step = self.cartpole.step(state, actions)
            return step._replace(terminated=torch.ones_like(step.terminated))

    teacher, accuracy = fit(OneStep(), episodes=40)
    assert accuracy is None
    assert "always terminated" in caplog.text
    assert teacher.model().terminated(3 * torch.randn(1, 500, 4)).all()


def test_accuracy_is_none_if_held_out_steps_are_one_class():
    """No held-out episode terminates, as if a time limit had truncated them; the other episodes do."""
    task = make_task("CartPole-v1")
    gathered = harvest(task, 20, np.random.default_rng(0))
    steps = gathered.transitions
    cut = steps.terminated & (steps.copies % 10 != 0)
    _, accuracy = fit_to(task, dataclasses.replace(gathered, transitions=dataclasses.replace(steps, terminated=cut)))
    assert accuracy is None
