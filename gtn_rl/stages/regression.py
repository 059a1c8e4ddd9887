"""Regression of one of a teacher's networks, in place: shared by all that the stage ``fit`` fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_rl.harvest import Harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.models.networks import as_layers, forward
from gtn_rl.tasks.actions import normalise


def step_inputs(teacher: EnvironmentTeacher, harvests: Sequence[Harvest]) -> tuple[Tensor, Tensor]:
    """Returns what a network of states and actions reads in every step of the real task, and which steps to hold out.

    Returns:
        Normalised states followed by action features, ``(N, d + m)``, and whether the step belongs to one of the tenth
        of episodes that are held out for evaluation, bool, ``(N,)``.
    """
    inputs, left_out = [], []
    for steps in (gathered.transitions for gathered in harvests):
        before = (steps.observations - teacher.mean) / teacher.std
        if teacher.spec.discrete:
            features = F.one_hot(steps.actions, teacher.spec.action_size).to(before)
        else:
            features = normalise(teacher.spec, steps.actions)
        inputs.append(torch.cat([before, features], dim=1))
        left_out.append(steps.copies % 10 == 0)
    return torch.cat(inputs), torch.cat(left_out)


def evaluate(network: nn.ParameterList, inputs: Tensor, activation: str) -> Tensor:
    """Maps inputs ``(n, in)`` to ``(n, out)``, given a network's weights and biases, alternating."""
    layers = as_layers([parameter.unsqueeze(0) for parameter in network])
    return forward(layers, inputs.unsqueeze(0), activation).squeeze(0)


def regress(network: nn.ParameterList, loss: Callable[[nn.ParameterList], Tensor], *, updates: int, lr: float) -> None:
    """Minimises a loss of a network, in place, by Adam with a cosine decay to 0.

    Args:
        network: Weights and biases, alternating; whether they are meta-learned does not change.
        loss: Draws a batch and returns its loss for a network of that shape.
        updates: Number of gradient steps.
        lr: Initial learning rate.
    """
    fitted = nn.ParameterList([nn.Parameter(parameter.detach().clone()) for parameter in network])
    optimizer = torch.optim.Adam(fitted.parameters(), lr=lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        value = loss(fitted)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        decay.step()
    with torch.no_grad():
        for own, found in zip(network, fitted, strict=True):
            own.copy_(found)
