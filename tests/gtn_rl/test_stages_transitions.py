"""Transition networks fitted to steps of the real task."""

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
