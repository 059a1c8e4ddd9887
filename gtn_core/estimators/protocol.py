"""What every estimator of the outer gradient takes and gives, so that one can replace another without a branch."""

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
    """What is meta-learned: a module that makes the batches and the inner schedule; theta is its parameters."""

    def batch(self, step: int) -> Batch:
        """Returns what the learner sees at one inner step; the same at every call until the parameters change."""
        raise NotImplementedError

    def batch_for(self, step: int, progress: Tensor | None) -> Batch:
        """Returns the batch of one inner step for a learner of this progress: the same for all, unless the loop is closed.

        Args:
            step: The inner step.
            progress: What the inner loss said of the learner at the step before (``gtn_core.closed_loop``); ``None`` before the
                first step, and where the loss says nothing of it.
        """
        return self.batch(step)

    def for_learner(self, seed: int) -> Self:
        """Returns the lesson of one learner: the teacher as the learner of this seed sees it, with the same parameters.

        It is the teacher itself, unless every learner sees something else: other draws, another order.
        """
        return self

    def schedule(self) -> tuple[Tensor, Tensor]:
        """Returns learning rates and momenta, each of shape ``(T,)``."""
        raise NotImplementedError

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """Returns theta in groups, each with the multiple of the outer learning rate that it is trained at."""
        return [(1.0, list(self.parameters()))]

    def trained(self) -> list[nn.Parameter]:
        """Returns the parameters that are meta-learned, in the order of the groups."""
        return [p for _, parameters in self.parameter_groups() for p in parameters if p.requires_grad]

    def theta(self) -> Tensor:
        """Returns what is meta-learned as one vector, shape ``(D,)``, a copy."""
        return parameters_to_vector(self.trained()).detach().clone()

    def set_theta(self, theta: Tensor) -> None:
        """Puts a vector of shape ``(D,)`` back into the parameters."""
        vector_to_parameters(theta.clone(), self.trained())


class Trial(Protocol):
    """What one outer step judges a teacher by. Whether it can also be differentiated is up to its class."""

    @property
    def values(self) -> Mapping[str, float]:
        """What to log of it beside the estimator's own values, by tag; filled while it judges."""

    def fitness(self, teacher: Teacher, candidates: Tensor) -> Tensor:
        """Judges teachers that differ from ``teacher`` in theta alone, all by the same draw of learners and data.

        Args:
            teacher: The teacher; left as it was.
            candidates: Vectors to put in theta's place, shape ``(P, D)``.

        Returns:
            Higher is better, shape ``(P,)``; not finite where a learner diverged.
        """


@dataclass(frozen=True)
class Estimate:
    """What is known after one estimate; the gradient itself has been added to the ``grad`` of the teacher's parameters.

    Attributes:
        values: What to log, by tag, e.g. ``"meta/loss"``.
    """

    values: Mapping[str, float]


@config
class EstimatorConfig:
    """How the outer gradient is estimated; an estimator reads what concerns it."""

    plan: StepPlan = StepPlan()
    """How inner steps and their adjoint are computed."""
    seed: Natural = 0
    """Root of the noise of evolution strategies."""
    population: Positive = 64
    """P, candidates of an evolution strategy, even: each noise vector is used with both signs."""
    sigma: PositiveReal = 0.1
    """Standard deviation of an evolution strategy's noise at the start."""


class Estimator(Protocol):
    """One way to estimate the gradient of the meta-loss by the teacher's parameters.

    Attributes:
        splits_candidates: Whether several processes judge parts of the same candidates, and so know the same gradient; else
            each has an episode of its own, and their gradients are averaged.
    """

    splits_candidates: ClassVar[bool]

    def estimate(self, teacher: Teacher, trial: Trial) -> Estimate:
        """Adds the gradient to the parameters' ``grad``.

        Raises:
            DivergedError: A loss is not finite.
            UsageError: The trial offers not what this estimator needs, e.g. a derivative.
        """

    def shrink(self, trial: Trial) -> str | None:
        """Makes do with less memory from now on, after it was not enough for a trial.

        Returns:
            What changed, in a few words; ``None`` where nothing is left to save.
        """

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns what a resumed run needs, as tensors and as JSON values."""

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Takes back what ``state`` returned."""


ESTIMATORS: Registry[Callable[[EstimatorConfig], Estimator]] = Registry("estimator")
