"""A differentiable trial: a fresh learner is trained on a teacher's batches and judged on the real task."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gtn_core.errors import DivergedError
from gtn_core.estimators.protocol import Teacher
from gtn_core.inner_optim import InnerOptimizer
from gtn_core.meta_loss import MetaLoss, parts_of
from gtn_core.planning.plan import StepPlan
from gtn_core.second_order import InnerLoss
from gtn_core.unroll import InnerLoop, run


@dataclass(frozen=True)
class Episode:
    """One inner loop of a fresh learner, differentiable; redrawn in every outer step, and the same for every estimator.

    Attributes:
        loss: Loss of an inner step.
        optimizer: Inner optimizer.
        phi: Initial parameters, shape ``(D,)``.
        meta_loss: Judges the learner on the real task.
        weights: Weight of the meta-loss by the number of steps done; the largest key is the number of inner steps.
        values: See ``Trial.values``.
        lesson: Seed of the randomness in the teacher's batches; see ``Teacher.for_learner``.
        teacher_loss: Loss of the teacher itself, added to the meta-loss; ``None`` for none.
        name: Name of the learner in error messages.
        plan: How ``fitness`` computes steps, and how many real samples it judges at a time.
    """

    loss: InnerLoss
    optimizer: InnerOptimizer
    phi: Tensor
    meta_loss: MetaLoss
    weights: Mapping[int, float]
    values: dict[str, float] = field(default_factory=dict)
    lesson: int = 0
    teacher_loss: Callable[[Teacher], Tensor] | None = None
    name: str = "the learner"
    plan: StepPlan = field(default_factory=StepPlan)

    @property
    def steps(self) -> int:
        """Number of inner steps in this episode, at most the teacher's T."""
        return max(self.weights)

    def inner_loop(self, lesson: Teacher) -> InnerLoop:
        """Returns the inner loop on a lesson (see ``for_learner``); its batches are generated step by step."""
        with torch.no_grad():
            lr, momentum = (values[: self.steps] for values in lesson.schedule())
        return InnerLoop(self.loss, self.optimizer, self.phi, lesson.batch_for, lr, momentum)

    def fitness(self, teacher: Teacher, candidates: Tensor) -> Tensor:
        """See ``Trial.fitness``: minus the weighted meta-loss and the teacher's own loss, one candidate after another.

        Works on a copy of the teacher, since a signal may have the teacher saved at any moment.
        """
        judged = copy.deepcopy(teacher)
        return torch.stack([self._fitness(judged, candidate) for candidate in candidates])

    def _fitness(self, teacher: Teacher, candidate: Tensor) -> Tensor:
        teacher.set_theta(candidate)
        total = candidate.new_zeros(())

        def judge(steps: int, phi: Tensor, statistics: tuple[Tensor, ...]) -> None:
            nonlocal total
            if steps in self.weights:
                with torch.no_grad():
                    for share, part in parts_of(self.meta_loss, steps, self.plan.judge_chunk):
                        total = total + self.weights[steps] * share * part(phi, statistics)

        try:
            loop = self.inner_loop(teacher.for_learner(self.lesson))
            run(loop, execution=self.plan.execution, after_step=judge)
        except DivergedError:
            return candidate.new_tensor(float("-inf"))
        if self.teacher_loss is not None:
            with torch.no_grad():
                total = total + self.teacher_loss(teacher)
        return -total
