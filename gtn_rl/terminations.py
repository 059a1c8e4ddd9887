"""Fitted terminations: a teacher's termination network, by logistic regression on steps of the real task."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_rl.harvest import Harvest
from gtn_rl.model import EnvironmentTeacher
from gtn_rl.regression import evaluate, regress

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
    """Fits which states end an episode, in place, by Adam with a cosine to 0.

    Terminations are rare, so half of every batch is drawn from them: the network's 0 is then where both are equally likely. A
    tenth of the episodes is left out and judged by.

    Args:
        teacher: Has a termination network.
        harvests: Real steps.
        generator: Draws batches.
        updates: Gradient steps.
        batch_size: States in each.
        lr: Learning rate at the start.

    Returns:
        Balanced accuracy on the episodes left out: the mean of the shares of terminations, and of other steps, that are told
        right; 0.5 is chance, 1 perfect. None where the harvests hold no termination: the network then ends no episode.
    """
    assert teacher.termination is not None
    states, terminated, left_out = _data(teacher, harvests)
    classes = [(~left_out & (terminated == over)).nonzero().squeeze(1) for over in (False, True)]
    if not len(classes[1]):
        log.warning("the real task never terminated in %d steps, so no state will end an episode", len(states))
        _end_nothing(teacher.termination)
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
    shares = [
        float(right[of].float().mean()) for over in (False, True) if (of := left_out & (terminated == over)).any()
    ]
    accuracy = sum(shares) / len(shares)
    log.info("fitted terminations have a balanced accuracy of %.4f on episodes left out", accuracy)
    return accuracy


@torch.no_grad()
def _end_nothing(network: nn.ParameterList) -> None:
    """Makes the output -1 everywhere."""
    network[-2].zero_()
    network[-1].fill_(-1)


def _data(teacher: EnvironmentTeacher, harvests: Sequence[Harvest]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns normalised states after a step ``(N, d)``, whether they terminated, and which belong to episodes left out."""
    parts = [
        ((steps.next_observations - teacher.mean) / teacher.std, steps.terminated, steps.copies % 10 == 0)
        for steps in (gathered.transitions for gathered in harvests)
    ]
    states, terminated, left_out = (torch.cat(column) for column in zip(*parts, strict=True))
    return states, terminated, left_out
