"""The exact meta-gradient: the adjoint of the inner loop, then the teacher's own backward pass, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from gtn_core.errors import DivergedError, UsageError
from gtn_core.estimators.episode import Episode
from gtn_core.estimators.protocol import ESTIMATORS, Estimate, EstimatorConfig, Teacher, Trial
from gtn_core.meta_loss import BatchedLoss
from gtn_core.second_order import Batch
from gtn_core.unroll import meta_gradient


@ESTIMATORS.register("backprop")
class Backprop:
    """Differentiates through the whole inner loop.

    The teacher stays outside the backward sweep: its batches are generated without a graph, and once more with a graph
    as soon as the gradient with respect to that batch is known. So the teacher's graph never spans more than one batch.
    In a closed loop that graph reaches back to the learner's progress, whose gradient continues through the learner.

    Args:
        settings: ``plan`` determines how steps are computed.
    """

    splits_candidates: ClassVar[bool] = False

    def __init__(self, settings: EstimatorConfig) -> None:
        self.plan = settings.plan

    def estimate(self, teacher: Teacher, trial: Trial) -> Estimate:
        """See ``Estimator.estimate``."""
        if not isinstance(trial, Episode):
            raise UsageError(
                f"backprop needs a differentiable trial, which a {type(trial).__name__} is not;"
                " use an evolution strategy"
            )
        lesson = teacher.for_learner(trial.lesson)
        lr, momentum = (values[: trial.steps] for values in lesson.schedule())

        def teach_back(step: int, progress: Tensor | None, gradients: Batch) -> Tensor | None:
            progress = None if progress is None else progress.detach().requires_grad_()
            pairs = [
                (part, gradient)
                for part, gradient in zip(lesson.batch_for(step, progress), gradients, strict=True)
                if part.requires_grad
            ]
            if pairs:
                torch.autograd.backward([part for part, _ in pairs], [gradient for _, gradient in pairs])
            return None if progress is None else progress.grad

        try:
            result = meta_gradient(
                trial.inner_loop(lesson),
                trial.meta_loss,
                trial.weights,
                teach_back,
                backend=self.plan.backend,
                keep_last_k=self.plan.keep_last_k,
                execution=self.plan.execution,
                judge_chunk=self.plan.judge_chunk,
            )
        except DivergedError as error:
            raise DivergedError(f"{trial.name}: {error}") from error
        if lr.requires_grad:
            torch.autograd.backward([lr, momentum], [result.lr, result.momentum])
        own: dict[str, Tensor] = {}
        if trial.teacher_loss is not None:
            loss = trial.teacher_loss(teacher)
            loss.backward()
            own["meta/teacher_loss"] = loss.detach()
        values = {
            **own,
            "meta/loss": result.meta_losses[trial.steps],
            "meta/weighted_loss": result.meta_loss,
            "inner/first_loss": result.losses[0],
            "inner/last_loss": result.losses[-1],
            "inner/lr": lr.detach().mean(),
            "inner/momentum": momentum.detach().mean(),
        }
        told = torch.stack([value.double() for value in values.values()]).tolist()  # one GPU synchronisation, not seven
        return Estimate({**dict(zip(values, told, strict=True)), "inner/steps": float(trial.steps)})

    def shrink(self, trial: Trial | None) -> str | None:
        """See ``Estimator.shrink``: halves kept graphs, then captures none, then halves real samples judged at a time."""
        kept, chunk = self.plan.keep_last_k, self.plan.judge_chunk
        if kept:
            self.plan = replace(self.plan, keep_last_k=kept // 2)
            return f"keeping the graphs of {kept // 2} steps instead of {kept}"
        if self.plan.execution == "captured":  # every captured graph has memory of its own
            self.plan = replace(self.plan, execution="eager")
            return "running steps eagerly instead of as captured graphs"
        if not isinstance(trial, Episode) or not isinstance(trial.meta_loss, BatchedLoss):
            return None
        now = min(chunk or trial.meta_loss.largest, trial.meta_loss.largest)
        if now == 1:
            return None
        self.plan = replace(self.plan, judge_chunk=now // 2)
        return f"judging {now // 2} real samples at a time instead of {now}"

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """See ``Estimator.state``; there is none."""
        return {}, {}

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """See ``Estimator.load_state``."""
