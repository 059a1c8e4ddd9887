"""What every estimator of the outer gradient takes and gives, so that one can replace another without a branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from gtn_core.inner_optim import InnerOptimizer
from gtn_core.plan import StepPlan
from gtn_core.registry import Registry
from gtn_core.second_order import Batch, InnerLoss
from gtn_core.unroll import MetaLoss


class Teacher(nn.Module):
    """What is meta-learned: a module that makes the batches and the inner schedule; theta is its parameters."""

    def batch(self, step: int) -> Batch:
        """Returns what the learner sees at one inner step; the same at every call until the parameters change."""
        raise NotImplementedError

    def schedule(self) -> tuple[Tensor, Tensor]:
        """Returns learning rates and momenta, each of shape ``(T,)``."""
        raise NotImplementedError

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """Returns theta in groups, each with the multiple of the outer learning rate that it is trained at."""
        return [(1.0, list(self.parameters()))]


@dataclass(frozen=True)
class Episode:
    """One learner's life: drawn afresh for every outer step, and the same however the outer gradient is estimated.

    Attributes:
        loss: Loss of one inner step.
        optimizer: How inner steps are taken.
        phi: Initial parameters, shape ``(D,)``.
        meta_loss: Judges the learner on the real task.
        weights: Weight of the meta-loss by steps done; the largest key is the number of inner steps.
    """

    loss: InnerLoss
    optimizer: InnerOptimizer
    phi: Tensor
    meta_loss: MetaLoss
    weights: Mapping[int, float]

    @property
    def steps(self) -> int:
        """Inner steps of this episode; at most the teacher's T."""
        return max(self.weights)


@dataclass(frozen=True)
class Estimate:
    """What is known after one estimate; the gradient itself has been added to the ``grad`` of the teacher's parameters.

    Attributes:
        meta_loss: Weighted sum of the meta-losses.
        final_loss: Meta-loss after the last inner step.
        inner_losses: Inner loss at each step, shape ``(steps,)``.
    """

    meta_loss: float
    final_loss: float
    inner_losses: Tensor


class Estimator(Protocol):
    """One way to estimate the gradient of the meta-loss by the teacher's parameters."""

    def estimate(self, teacher: Teacher, episode: Episode) -> Estimate:
        """Adds the gradient to the parameters' ``grad``.

        Raises:
            DivergedError: A loss is not finite.
        """

    def state(self) -> dict[str, Any]:
        """Returns what a resumed run needs, as JSON values."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what ``state`` returned."""


ESTIMATORS: Registry[Callable[[StepPlan], Estimator]] = Registry("estimator")
