"""The exact meta-gradient: the adjoint of the inner loop, then the teacher's own backward pass, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from gtn_core.estimators.protocol import ESTIMATORS, Episode, Estimate, Teacher
from gtn_core.plan import StepPlan
from gtn_core.second_order import Batch
from gtn_core.unroll import InnerLoop, meta_gradient


@ESTIMATORS.register("backprop")
class Backprop:
    """Differentiates through the whole inner loop.

    The teacher stays outside the sweep: its batches are made without a graph, and made a second time, with one, only once the
    gradient by that batch is known. So there is never more than one batch's graph of the teacher.

    Args:
        plan: How steps are computed.
    """

    def __init__(self, plan: StepPlan) -> None:
        self.plan = plan

    def estimate(self, teacher: Teacher, episode: Episode) -> Estimate:
        """See ``Estimator.estimate``."""
        lr, momentum = (values[: episode.steps] for values in teacher.schedule())
        with torch.no_grad():
            batches = [teacher.batch(step) for step in range(episode.steps)]

        def teach_back(step: int, gradients: Batch) -> None:
            pairs = [
                (part, gradient)
                for part, gradient in zip(teacher.batch(step), gradients, strict=True)
                if part.requires_grad
            ]
            if pairs:
                torch.autograd.backward([part for part, _ in pairs], [gradient for _, gradient in pairs])

        result = meta_gradient(
            InnerLoop(
                episode.loss, episode.optimizer, episode.phi, batches.__getitem__, lr.detach(), momentum.detach()
            ),
            episode.meta_loss,
            episode.weights,
            teach_back,
            backend=self.plan.backend,
            keep_last_k=self.plan.keep_last_k,
        )
        if lr.requires_grad:
            torch.autograd.backward([lr, momentum], [result.lr, result.momentum])
        final = result.meta_losses[episode.steps]
        return Estimate(result.meta_loss.item(), final.item(), result.losses)

    def state(self) -> dict[str, Any]:
        """Returns nothing: each estimate stands for itself."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back nothing."""
