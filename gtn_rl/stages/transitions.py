"""Fitted dynamics: a teacher's transition network, fitted by regression on steps of the real task."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from gtn_rl.harvest import Harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.regression import evaluate, regress_to, step_inputs

log = logging.getLogger(__name__)

LEAST = 1e-3
"""Minimum standard deviation of an entry's change, in standard deviations of the entry, by which its errors are
divided; an entry that changes less counts as one that does not change."""


def fit_transitions(
    teacher: EnvironmentTeacher,
    harvests: Sequence[Harvest],
    generator: torch.Generator,
    *,
    updates: int = 4000,
    batch_size: int = 256,
    lr: float = 3e-3,
) -> float | None:
    """Fits the change of the normalised state in a step, in place, by Adam with a cosine decay to 0.

    A tenth of the episodes is held out for evaluation.

    Args:
        teacher: A teacher with a transition network.
        harvests: Steps of the real task.
        generator: Draws the batches.
        updates: Number of gradient steps.
        batch_size: Transitions per batch.
        lr: Initial learning rate.

    Returns:
        Share of the change's variance that the network explains on held-out episodes, averaged over the entries of a
        state whose change varies; 1 is perfect. None if none does there, as in a single step: nothing is validated then.
    """
    assert teacher.transition is not None
    inputs, left_out = step_inputs(teacher, harvests)
    after = torch.cat([gathered.transitions.next_observations for gathered in harvests])
    changes = (after - teacher.mean) / teacher.std - inputs[:, : teacher.spec.observation_size]
    seen, wanted = inputs[~left_out], changes[~left_out]
    spread = wanted.std(dim=0, correction=0).clamp(min=LEAST)
    regress_to(
        teacher.transition,
        seen,
        wanted,
        spread,
        teacher.activation,
        generator,
        updates=updates,
        batch_size=batch_size,
        lr=lr,
    )
    with torch.no_grad():
        found = evaluate(teacher.transition, inputs[left_out], teacher.activation)
        error = (found - changes[left_out]).square().mean(dim=0)
        variance = changes[left_out].var(dim=0, correction=0)
        varying = variance > LEAST**2
    if not varying.any():
        log.warning("all held-out steps change the state alike, so the fitted transitions are not validated")
        return None
    explained = float((1 - error[varying] / variance[varying]).mean())
    log.info("fitted transitions explain %.4f of the variance of a step on held-out episodes", explained)
    return explained
