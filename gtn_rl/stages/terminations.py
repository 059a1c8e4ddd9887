"""Fitted terminations: a teacher's termination network, fitted by logistic regression on steps of the real task."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_rl.harvest import Harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.regression import evaluate, held_out, regress

log = logging.getLogger(__name__)


def fit_terminations(
    teacher: EnvironmentTeacher,
    harvests: Sequence[Harvest],
    generator: torch.Generator,
    *,
    updates: int = 2000,
    batch_size: int = 256,
    lr: float = 1e-2,
) -> float | None:
    """Fits which states end an episode, in place, by Adam with a cosine decay to 0.

    Terminations are rare, so half of every batch is drawn from them; an output of 0 then means that both classes are
    equally likely in such a batch. A tenth of the episodes is held out for evaluation.

    Args:
        teacher: A teacher with a termination network.
        harvests: Steps of the real task.
        generator: Draws the batches.
        updates: Number of gradient steps.
        batch_size: States per batch.
        lr: Initial learning rate.

    Returns:
        Balanced accuracy on held-out episodes: the mean of the accuracies on terminations and on other steps; 0.5 is
        chance, 1 perfect. None if the held-out episodes contain only one of the two. Also None if the other episodes
        do, so that there is nothing to fit: the network then ends every episode at once, or none.
    """
    assert teacher.termination is not None
    states, terminated, left_out = _data(teacher, harvests)
    classes = [(~left_out & (terminated == over)).nonzero().squeeze(1) for over in (False, True)]
    if not all(map(len, classes)):
        seen, which, output = ("always", "every", 1.0) if len(classes[1]) else ("never", "no", -1.0)
        log.warning(
            "the real task %s terminated in %d steps, so %s state will end an episode", seen, len(states), which
        )
        _say_everywhere(teacher.termination, output)
        return None
    half = batch_size // 2
    wanted = torch.arange(2, device=states.device).repeat_interleave(half).float()

    def loss(network: nn.ParameterList) -> Tensor:
        drawn = [
            members[torch.randint(len(members), (half,), generator=generator).to(members.device)] for members in classes
        ]
        logits = evaluate(network, states[torch.cat(drawn)], teacher.activation)[:, 0]
        return F.binary_cross_entropy_with_logits(logits, wanted)

    regress(teacher.termination, loss, updates=updates, lr=lr)
    with torch.no_grad():
        right = (evaluate(teacher.termination, states, teacher.activation)[:, 0] > 0) == terminated
    judged = [left_out & (terminated == over) for over in (False, True)]
    if not all(of.any() for of in judged):
        log.warning("held-out episodes terminate always or never, so the fitted terminations are not validated")
        return None
    accuracy = sum(float(right[of].float().mean()) for of in judged) / 2
    log.info("fitted terminations have a balanced accuracy of %.4f on held-out episodes", accuracy)
    return accuracy


@torch.no_grad()
def _say_everywhere(network: nn.ParameterList, output: float) -> None:
    """Makes the network's output the same in every state."""
    network[-2].zero_()
    network[-1].fill_(output)


def _data(teacher: EnvironmentTeacher, harvests: Sequence[Harvest]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns normalised states after a step, whether they terminated, and whether their episode is held out.

    Returns:
        States ``(N, d)``, and two bool tensors ``(N,)``.
    """
    parts = [
        ((steps.next_observations - teacher.mean) / teacher.std, steps.terminated, held_out(steps))
        for steps in (gathered.transitions for gathered in harvests)
    ]
    states, terminated, left_out = (torch.cat(column) for column in zip(*parts, strict=True))
    return states, terminated, left_out
