"""Transition networks fitted to steps of the real task."""

import dataclasses

import torch

from gtn_rl.harvest import Harvest
from gtn_rl.stages.transitions import fit_transitions
from gtn_rl.tasks import make_task
from gtn_rl.tasks.rollout import Transitions


def harvest_of(after, before):
    steps = torch.arange(len(before))
    actions = torch.zeros(len(before), dtype=torch.long)
    no = torch.zeros(len(before), dtype=torch.bool)
    part = Transitions(before, actions, steps.double(), after, no, steps % 20, steps // 20)
    return Harvest(part, torch.zeros(20), len(before))


def test_constant_observation_entry_does_not_spoil_the_fit(make_teacher):
    before = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    matrix = 0.3 * torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    after = before + before @ matrix
    explained = []
    for constant in (False, True):
        if constant:
            before[:, 2] = after[:, 2] = 0.0
        teacher = make_teacher(make_task("CartPole-v1"), "mdp")
        generator = torch.Generator().manual_seed(2)
        explained.append(fit_transitions(teacher, [harvest_of(after, before)], generator, updates=600))
    assert min(explained) > 0.8


def fitted(harvest, make_teacher):
    teacher = make_teacher(make_task("CartPole-v1"), "mdp")
    explained = fit_transitions(teacher, [harvest], torch.Generator().manual_seed(0), updates=50)
    return explained, teacher.transition


def test_single_steps_to_fit_to_and_to_judge_by_do_not_spoil_the_network(make_teacher, caplog):
    """Two episodes of a single step, of which one is held out: neither has a spread."""
    before, after = torch.randn(2, 2, 4, generator=torch.Generator().manual_seed(0))
    steps = harvest_of(after, before)
    episodes = dataclasses.replace(steps.transitions, steps=torch.zeros(2, dtype=torch.long), copies=torch.arange(2))
    explained, network = fitted(dataclasses.replace(steps, transitions=episodes), make_teacher)
    assert explained is None
    assert "not validated" in caplog.text
    assert all(parameter.isfinite().all() for parameter in network)


def test_share_of_explained_variance_is_none_if_held_out_steps_are_alike(make_teacher):
    before = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    explained, _ = fitted(harvest_of(before + 0.5, before), make_teacher)
    assert explained is None
