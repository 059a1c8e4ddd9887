"""Regression of one of a teacher's networks, in place: shared by all that the stage ``fit`` fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_rl.harvest import Harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.models.networks import as_layers, forward
from gtn_rl.tasks.actions import normalise, with_actions
from gtn_rl.tasks.rollout import Transitions


def held_out(steps: Transitions) -> Tensor:
    """Returns which steps belong to the tenth of episodes that are held out for evaluation, bool, ``(N,)``."""
    return steps.copies % 10 == 0


def step_inputs(teacher: EnvironmentTeacher, harvests: Sequence[Harvest]) -> tuple[Tensor, Tensor]:
    """Returns what a network of states and actions reads in every step of the real task, and which steps to hold out.

    Returns:
        Normalised states followed by action features, ``(N, d + m)``, and the result of ``held_out``.
    """
    inputs, left_out = [], []
    for steps in (gathered.transitions for gathered in harvests):
        before = (steps.observations - teacher.mean) / teacher.std
        actions = steps.actions if teacher.spec.discrete else normalise(teacher.spec, steps.actions)
        inputs.append(with_actions(teacher.spec, before, actions))
        left_out.append(held_out(steps))
    return torch.cat(inputs), torch.cat(left_out)


def regress_to(
    network: nn.ParameterList,
    inputs: Tensor,
    targets: Tensor,
    spread: Tensor | float,
    activation: str,
    generator: torch.Generator,
    *,
    updates: int,
    batch_size: int,
    lr: float,
) -> None:
    """Fits a network to targets by their squared error, in place; see ``regress``.

    Args:
        network: Weights and biases, alternating.
        inputs: What it reads, ``(n, in)``.
        targets: What it is to return, ``(n, out)``.
        spread: Errors are divided by it; a number, or one for each output, ``(out,)``.
        activation: Activation of the network.
        generator: Draws the batches.
        updates: Number of gradient steps.
        batch_size: Rows per batch.
        lr: Initial learning rate.
    """

    def loss(fitted: nn.ParameterList) -> Tensor:
        chosen = torch.randint(len(inputs), (batch_size,), generator=generator).to(inputs.device)
        return F.mse_loss(evaluate(fitted, inputs[chosen], activation) / spread, targets[chosen] / spread)

    regress(network, loss, updates=updates, lr=lr)


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
