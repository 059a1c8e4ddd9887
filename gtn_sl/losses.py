"""The losses of supervised learners: of an inner step, and of the real task."""

from __future__ import annotations

from torch import Tensor

from gtn_core.learner import Learner, Statistics
from gtn_core.plan import StepPlan
from gtn_core.second_order import Batch, InnerLoss


def soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean cross-entropy of ``logits`` with label distributions, both of shape ``(B, classes)``."""
    return -(labels * logits.to(labels.dtype).log_softmax(dim=-1)).sum(dim=-1).mean()


def inner_loss(learner: Learner, plan: StepPlan) -> InnerLoss:
    """Returns the loss of one inner step of a learner on images ``(B, C, H, W)`` and label probabilities."""

    def loss(phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics]:
        images, labels = batch
        with plan.autocast(phi.device):
            logits, statistics = learner.apply(phi, images)
        return soft_cross_entropy(logits, labels), statistics

    return loss
