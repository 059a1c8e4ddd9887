"""Continuous actions in a task's own units, and normalised to [-1, 1] as in learned environments."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gtn_rl.tasks.protocol import TaskSpec


def denormalise(spec: TaskSpec, actions: Tensor) -> Tensor:
    """Maps actions from [-1, 1] to the task's bounds."""
    low, high = (torch.from_numpy(bound).to(actions) for bound in (spec.action_low, spec.action_high))
    return torch.clamp(low + (actions + 1) * (high - low) / 2, low, high)  # rounding may leave the bounds


def normalise(spec: TaskSpec, actions: Tensor) -> Tensor:
    """Maps continuous actions from the task's bounds to [-1, 1]; an entry whose bounds are equal, to 0."""
    low, high = (torch.from_numpy(bound).to(actions) for bound in (spec.action_low, spec.action_high))
    room = high > low
    return torch.where(room, 2 * (actions - low) / torch.where(room, high - low, 1.0) - 1, 0.0)


def clipped(spec: TaskSpec, actions: Tensor) -> Tensor:
    """Clips continuous actions ``(n, m)`` to the task's bounds, as float32."""
    low, high = (torch.from_numpy(bound).to(actions) for bound in (spec.action_low, spec.action_high))
    return actions.clamp(low, high).float()


def with_actions(spec: TaskSpec, x: Tensor, actions: Tensor) -> Tensor:
    """Returns what a network reads that reads states and actions: states ``(..., d)``, then the features of the actions.

    Args:
        spec: The task.
        x: Normalised states, ``(..., d)``.
        actions: Discrete actions ``(...)``, or normalised ones ``(..., m)``.
    """
    features = nn.functional.one_hot(actions, spec.action_size).to(x) if spec.discrete else actions
    return torch.cat([x, features], dim=-1)
