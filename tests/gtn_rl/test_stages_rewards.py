"""Rewards fitted to those of the real task."""

import dataclasses

import numpy as np
import pytest
import torch

from gtn_envs import make_weights
from gtn_envs.folding import fold
from gtn_envs.numpy_batch import NumpyBatch
from gtn_rl.harvest import harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.rewards import fit_rewards
from gtn_rl.tasks import make_task
from gtn_rl.tasks.actions import normalise


def fit(task, gathered, **settings):
    mean, std = gathered.normalisation()
    sizes = {"hidden": (32,), "transition_hidden": (8,), "max_episode_steps": 9}
    centres = gathered.centres(8, np.random.default_rng(1))
    teacher = EnvironmentTeacher(task.spec, mean, std, centres, seed=0, reward_reads_action=True, **sizes, **settings)
    return teacher, fit_rewards(teacher, [gathered], torch.Generator().manual_seed(0), updates=1500)


def paid(teacher, steps):
    """Returns the rewards that a teacher's model pays for steps of the real task, ``(N,)``."""
    model = teacher.model()
    x = ((steps.observations - model.mean) / model.std).unsqueeze(0)
    actions = steps.actions if teacher.spec.discrete else normalise(teacher.spec, steps.actions)
    return model.rewards(x, actions.unsqueeze(0))[0]


@pytest.fixture(scope="module")
def pendulum():
    task = make_task("Pendulum-v1")
    gathered = harvest(task, 20, np.random.default_rng(0))
    return task, gathered, *fit(task, gathered)


def test_fitted_reward_predicts_those_of_fresh_episodes(pendulum):
    task, _, teacher, explained = pendulum
    assert explained > 0.99
    fresh = harvest(task, 10, np.random.default_rng(5)).transitions
    error = (paid(teacher, fresh) - fresh.rewards).square().mean()
    assert float(error / fresh.rewards.var()) < 0.02


def test_file_of_fitted_reward_pays_what_the_model_pays(pendulum):
    task, gathered, teacher, _ = pendulum
    spaces = {"observation_space": task.spec.observation_space, "action_space": task.spec.action_space}
    tensors = {name: tensor.numpy() for name, tensor in teacher.tensors().items()}
    weights = make_weights(tensors, teacher.document(**spaces))
    assert weights.reward_reads_action
    steps = gathered.transitions
    batch = NumpyBatch(fold(weights), 50)
    _, rewards, _ = batch.step(steps.observations[:50].numpy(), steps.actions[:50].numpy())
    np.testing.assert_allclose(rewards, paid(teacher, steps)[:50].detach(), atol=1e-4)


def test_reward_scale_is_a_multiple_of_the_real_reward(pendulum):
    task, gathered, teacher, _ = pendulum
    smaller, _ = fit(task, gathered, scale=0.1)
    torch.testing.assert_close(paid(smaller, gathered.transitions), 0.1 * paid(teacher, gathered.transitions))


def test_fitted_reward_of_discrete_actions_depends_on_the_action():
    task = make_task("CartPole-v1")
    gathered = harvest(task, 40, np.random.default_rng(0))
    steps = gathered.transitions
    rewards = 100 + steps.actions + steps.observations[:, 2].double()
    gathered = dataclasses.replace(gathered, transitions=dataclasses.replace(steps, rewards=rewards))
    teacher, explained = fit(task, gathered)
    assert explained > 0.99
    torch.testing.assert_close(paid(teacher, gathered.transitions).double(), rewards, atol=0.2, rtol=0)


@pytest.mark.parametrize("size", [1.0, 1000.1])
def test_constant_reward_is_fitted_but_not_validated(size, caplog):
    task = make_task("CartPole-v1")
    gathered = harvest(task, 40, np.random.default_rng(0))
    rewards = torch.full_like(gathered.transitions.rewards, size)
    gathered = dataclasses.replace(gathered, transitions=dataclasses.replace(gathered.transitions, rewards=rewards))
    with caplog.at_level("INFO"):
        teacher, explained = fit(task, gathered)
    assert explained is None
    assert "all held-out steps pay the same reward" in caplog.text
    torch.testing.assert_close(paid(teacher, gathered.transitions).double(), rewards, atol=0, rtol=1e-3)
