"""Small real tasks and environments that the tests of meta-training share."""

import pytest
import torch

from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.tasks import make_task

SHORT_A2C = """
from gtn_rl.agents.a2c import A2C, A2CFamily

class Short(A2CFamily):
    def usual(self, spec):
        return A2C(updates=20)

short = Short()
"""


@pytest.fixture(scope="session", params=["CartPole-v1", "Pendulum-v1"])
def task(request):
    """A real task, with discrete or continuous actions."""
    return make_task(request.param)


@pytest.fixture(params=["bandit", "mdp", "ending mdp"])
def teacher(request, task):
    """A fresh environment of each kind."""
    return build(task, request.param)


@pytest.fixture(scope="session")
def make_teacher():
    """Makes a small fresh environment of a task and a kind."""
    return build


def build(task, kind, seed=0):
    """Returns a small fresh environment."""
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


@pytest.fixture
def short_agents(tmp_path, monkeypatch):
    """Makes ``short_a2c:short`` known, agents that are trained for so short a time that a stage takes a moment."""
    (tmp_path / "short_a2c.py").write_text(SHORT_A2C)
    monkeypatch.syspath_prepend(tmp_path)
