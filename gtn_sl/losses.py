"""The losses of supervised learners: of an inner step, and on the real task."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from gtn_core.closed_loop import class_progress
from gtn_core.learner import Learner, Statistics
from gtn_core.planning.plan import StepPlan
from gtn_core.second_order import Batch, InnerLoss


def soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean cross-entropy of ``logits`` with label distributions ``(B, classes)``.

    Logits of shape ``(S, B, classes)`` are those of S learners. Their mean losses are summed, so that the gradient with
    respect to a learner's parameters is that of its own loss.
    """
    return -(labels * logits.to(labels.dtype).log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1).sum()


def inner_loss(learner: Learner, plan: StepPlan, *, closed_loop: bool = False) -> InnerLoss:
    """Returns the loss of one inner step of a learner on images ``(B, C, H, W)`` and label probabilities.

    Args:
        learner: The learner.
        plan: How steps are computed.
        closed_loop: Whether it also returns the learner's progress, for a closed-loop teacher.
    """

    def loss(phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics] | tuple[Tensor, Statistics, Tensor]:
        images, labels = batch
        with plan.autocast(phi.device):
            logits, statistics = learner.apply(phi, images)
        value = soft_cross_entropy(logits, labels)
        return (value, statistics, class_progress(value, logits, labels)) if closed_loop else (value, statistics)

    return loss


def real_loss(learner: Learner, plan: StepPlan) -> Callable[[Tensor, Statistics, Batch], Tensor]:
    """Returns the loss on real images ``(N, C, H, W)`` with labels ``(N,)``, given parameters and statistics.

    It is the mean cross-entropy; for S learners side by side, the mean over them.
    """

    def loss(phi: Tensor, statistics: Statistics, batch: Batch) -> Tensor:
        images, labels = batch
        with plan.autocast(phi.device):
            logits, _ = learner.apply(phi, images, statistics)
        return F.cross_entropy(logits.float().flatten(0, -2), labels.expand(logits.shape[:-1]).flatten())

    return loss
