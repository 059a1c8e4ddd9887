"""Harvests of the real task: which states become centres of the initial states, and how far those spread."""

import dataclasses

import numpy as np
import pytest
import torch

from gtn_core.errors import UsageError
from gtn_rl.config import EnvironmentConfig
from gtn_rl.harvest import harvest, start_from_greedy
from gtn_rl.tasks import make_task


@pytest.mark.parametrize("first_steps", [1, 10, None])
def test_centres_are_drawn_from_first_steps_of_episodes(first_steps):
    gathered = harvest(make_task("Pendulum-v1"), 8, np.random.default_rng(0))
    steps = gathered.transitions.steps
    centres = gathered.centres(200, np.random.default_rng(1), first_steps)
    allowed = gathered.states if first_steps is None else gathered.states[steps < first_steps]
    assert centres.shape == (200, 3)
    assert bool((centres[:, None] == allowed[None]).all(dim=2).any(dim=1).all())


def test_harvest_of_a_single_state_is_rejected():
    task = make_task("CartPole-v1")
    short = dataclasses.replace(task.spec, max_episode_steps=1)
    task.spec = short
    with pytest.raises(UsageError, match=r"gave a single state, .* raise environment\.harvest_episodes"):
        harvest(task, 1, np.random.default_rng(0))
    assert len(harvest(task, 2, np.random.default_rng(0)).states) >= 2


@pytest.mark.parametrize("spread", ["task", "policy"])
def test_only_spread_policy_rescales_initial_states(spread, task, make_teacher):
    teacher = make_teacher(task, "bandit")
    before = teacher.initial[1].detach().clone()
    settings = EnvironmentConfig(kind="bandit", spread=spread, jitter=0.5, centres=8, exploration=0.0)
    gathered = start_from_greedy(task, teacher, settings, np.random.default_rng(0))
    means, log_std = (parameter.detach() for parameter in teacher.initial)
    assert bool(
        (means[:, None] * teacher.std + teacher.mean - gathered.states).abs().sum(dim=2).amin(dim=1).lt(1e-3).all()
    )
    if spread == "task":
        assert torch.equal(log_std, before)
    else:
        torch.testing.assert_close(log_std.exp() * teacher.std, 0.5 * gathered.states.std(dim=0))
