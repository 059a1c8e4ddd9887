"""Fitted rewards: a teacher's reward network, fitted by regression on steps of the real task."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from gtn_rl.harvest import Harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.regression import evaluate, regress_to, step_inputs

log = logging.getLogger(__name__)

LEAST = 1e-6
"""Minimum standard deviation of the rewards, relative to their size; below it, they count as all alike."""


def fit_rewards(
    teacher: EnvironmentTeacher,
    harvests: Sequence[Harvest],
    generator: torch.Generator,
    *,
    updates: int = 4000,
    batch_size: int = 256,
    lr: float = 3e-3,
) -> float | None:
    """Fits the reward of a state and an action, in place, by Adam with a cosine decay to 0.

    A tenth of the episodes is held out for evaluation.

    Args:
        teacher: A teacher with a fitted reward, whose size is left as it is.
        harvests: Steps of the real task.
        generator: Draws the batches.
        updates: Number of gradient steps.
        batch_size: Steps per batch.
        lr: Initial learning rate.

    Returns:
        Share of the reward's variance that the network explains on held-out episodes; 1 is perfect. None if it does not
        vary there: nothing is validated then.
    """
    inputs, left_out = step_inputs(teacher, harvests)
    rewards = torch.cat([gathered.transitions.rewards for gathered in harvests]).double()
    seen = inputs[~left_out]
    least = LEAST * float(rewards.abs().max().clamp(min=1))
    paid = rewards[~left_out]
    mean, spread = paid.mean(), paid.std(correction=0).clamp(min=least)
    wanted = ((paid - mean) / spread).to(inputs).unsqueeze(1)
    regress_to(
        teacher.reward, seen, wanted, 1.0, teacher.activation, generator, updates=updates, batch_size=batch_size, lr=lr
    )
    with torch.no_grad():
        *_, weight, bias = teacher.reward
        weight.mul_(spread)
        bias.mul_(spread).add_(mean)
        variance = rewards[left_out].var(correction=0)
        found = evaluate(teacher.reward, inputs[left_out], teacher.activation).squeeze(1)
        error = (found - rewards[left_out]).square().mean()
    if variance < least**2:
        log.info("all held-out steps pay the same reward, so the fitted one is not validated")
        return None
    explained = float(1 - error / variance)
    log.info("the fitted reward explains %.4f of the variance of the real one on held-out episodes", explained)
    return explained
