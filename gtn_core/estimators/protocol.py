"""The interface of every estimator of the outer gradient, so that one can replace another without a branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from typing_extensions import Self

from gtn_core.config import Natural, Positive, PositiveReal, config
from gtn_core.planning.plan import StepPlan
from gtn_core.registry import Registry
from gtn_core.second_order import Batch


class Teacher(nn.Module):
    """What is meta-learned: a module that generates the batches and the inner schedule; theta is its parameters."""

    def batch(self, step: int) -> Batch:
        """Returns the batch of one inner step; the same at every call until the parameters change."""
        raise NotImplementedError

    def batch_for(self, step: int, progress: Tensor | None) -> Batch:
        """Returns the batch of one inner step, which depends on the learner's progress only in a closed loop.

        Args:
            step: The inner step.
            progress: The learner's progress that the inner loss returned in the step before (``gtn_core.closed_loop``);
                ``None`` before the first step, and if the loss returns none.
        """
        return self.batch(step)

    def for_learner(self, seed: int) -> Self:
        """Returns the lesson of one learner: the teacher as the learner of this seed sees it, with the same parameters.

        It is the teacher itself, unless learners see different things: other draws, another order.
        """
        return self

    def schedule(self) -> tuple[Tensor, Tensor]:
        """Returns learning rates and momenta, each of shape ``(T,)``."""
        raise NotImplementedError

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """Returns theta in groups, each with the multiple of the outer learning rate that it is trained with."""
        return [(1.0, list(self.parameters()))]

    def trained(self) -> list[nn.Parameter]:
        """Returns the parameters that are meta-learned, in the order of the groups."""
        return [p for _, parameters in self.parameter_groups() for p in parameters if p.requires_grad]

    def theta(self) -> Tensor:
        """Returns a copy of what is meta-learned as one vector, shape ``(D,)``."""
        return parameters_to_vector(self.trained()).detach().clone()

    def set_theta(self, theta: Tensor) -> None:
        """Sets what is meta-learned from a vector of shape ``(D,)``."""
        vector_to_parameters(theta.clone(), self.trained())


class Trial(Protocol):
    """What an outer step judges a teacher by; whether it can also be differentiated depends on its class."""

    @property
    def values(self) -> Mapping[str, float]:
        """Values to log besides the estimator's own, by tag; filled while judging."""

    def fitness(self, teacher: Teacher, candidates: Tensor) -> Tensor:
        """Judges teachers that differ from ``teacher`` in theta alone, all with the same draw of learners and data.

        Args:
            teacher: The teacher; left unchanged.
            candidates: Values of theta to judge, shape ``(P, D)``.

        Returns:
            Fitness, higher is better, shape ``(P,)``; not finite where a learner diverged.
        """


@dataclass(frozen=True)
class Estimate:
    """The result of an estimate; the gradient itself has been added to the ``grad`` of the teacher's parameters.

    Attributes:
        values: Values to log, by tag, e.g. ``"meta/loss"``.
    """

    values: Mapping[str, float]


@config
class EstimatorConfig:
    """How the outer gradient is estimated; an estimator reads only the settings that concern it."""

    plan: StepPlan = StepPlan()
    """How inner steps and their adjoint are computed."""
    seed: Natural = 0
    """Root seed of the noise of evolution strategies."""
    population: Positive = 64
    """P, the number of candidates of an evolution strategy; even, since each noise vector is used with both signs."""
    sigma: PositiveReal = 0.1
    """Initial standard deviation of an evolution strategy's noise."""


class Estimator(Protocol):
    """A way to estimate the gradient of the meta-loss with respect to the teacher's parameters.

    Attributes:
        splits_candidates: Whether several processes judge parts of the same candidates, and so know the same gradient;
            otherwise each has its own episodes, and their gradients are averaged.
    """

    splits_candidates: ClassVar[bool]

    def estimate(self, teacher: Teacher, trial: Trial) -> Estimate:
        """Adds the gradient to the parameters' ``grad``.

        Raises:
            DivergedError: A loss is not finite.
            UsageError: The trial lacks what this estimator needs, e.g. a derivative.
        """

    def shrink(self, trial: Trial | None) -> str | None:
        """Uses less memory from now on, after a trial has run out of it.

        Args:
            trial: The trial; ``None`` if memory ran out while it was made.

        Returns:
            What changed, in a few words; ``None`` if nothing more can be saved.
        """

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns what a resumed run needs, as tensors and as JSON values."""

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Restores what ``state`` returned."""


ESTIMATORS: Registry[Callable[[EstimatorConfig], Estimator]] = Registry("estimator")
