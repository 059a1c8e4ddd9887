"""Regression of one of a teacher's networks, in place: shared by fitted transitions and fitted terminations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gtn_rl.models.networks import as_layers, forward


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
