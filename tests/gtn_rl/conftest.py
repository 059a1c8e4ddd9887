"""Fixtures that the tests of gtn_rl share: real tasks and small synthetic environments."""

import pytest
import torch

from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.tasks import make_task


@pytest.fixture(scope="session", params=["CartPole-v1", "Pendulum-v1"])
def task(request):
    """A real task with discrete actions, and one with continuous actions."""
    return make_task(request.param)


@pytest.fixture(params=["bandit", "mdp", "ending mdp"])
def teacher(request, task):
    """A fresh teacher: a bandit, an MDP, and an MDP with a termination network."""
    return build(task, request.param)


@pytest.fixture(scope="session")
def make_teacher():
    """Returns ``build``, which makes a small fresh teacher for a task and a kind."""
    return build


def build(task, kind, seed=0):
    """Returns a small fresh teacher: ``bandit``, ``mdp``, or ``ending mdp`` with a termination network."""
    generator = torch.Generator().manual_seed(seed)
    d = task.spec.observation_size
    mdp = kind != "bandit"
    return EnvironmentTeacher(
        task.spec,
        torch.zeros(d),
        torch.ones(d),
        0.3 * torch.randn(8, d, generator=generator),
        seed=seed,
        hidden=(8,),
        transition_hidden=(8,) if mdp else None,
        termination_hidden=(8,) if kind == "ending mdp" else None,
        max_episode_steps=4 if mdp else 1,
    )
