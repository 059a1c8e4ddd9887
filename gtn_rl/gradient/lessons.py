"""A learned environment as the teacher of a differentiable inner loop: its batches and its inner schedule."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from gtn_core.estimators import Teacher
from gtn_core.inner_schedule import Schedule
from gtn_core.second_order import Batch
from gtn_core.seeding import Streams
from gtn_rl.config import GradientConfig
from gtn_rl.models.environment import EnvironmentTeacher, Model


class Lessons(Teacher):
    """Contexts of an environment with what its reward says about them, and the inner schedule.

    Contexts are reparameterised draws of the initial states, so gradients reach the centres and their spread. An MDP is
    also taught by its initial states; its transitions are not run. The schedule is meta-learned together with the
    environment during a stage but is not saved in its file: every agent brings its own optimizer.

    Args:
        environment: The environment that the stage trains.
        streams: The stage's random streams.
        settings: Number of learners, number of contexts, and initial schedule.
        steps: Number of inner steps.
        lr: Initial inner learning rate, unless the settings give one.
    """

    def __init__(
        self, environment: EnvironmentTeacher, streams: Streams, settings: GradientConfig, *, steps: int, lr: float
    ) -> None:
        super().__init__()
        self.environment, self.streams, self.settings = environment, streams, settings
        self.steps, self.outer_step = steps, 0
        self.inner_schedule = Schedule(steps, settings.inner_lr or lr, settings.momentum)
        self.to(environment.mean.device)

    def draw(self, outer_step: int) -> None:
        """Draws new contexts for an outer step, which depend only on its number and the stage's seed."""
        self.outer_step = outer_step

    def batch(self, step: int) -> Batch:
        """Returns observations ``(S, n, d)``, in the task's units, and the tensors of ``answers``."""
        model = self.environment.variants(parameters_to_vector(self.environment.trained()).unsqueeze(0))
        generator = self.streams.torch("contexts", self.outer_step, step)
        x = model.initial(self.settings.learners * self.settings.contexts, generator)
        return self.by_learner(model.observe(x)), *self.answers(model, x)

    def answers(self, model: Model, x: Tensor) -> Batch:
        """Returns what a learner is taught about normalised states x, ``(1, S * n, d)``."""
        raise NotImplementedError

    def by_learner(self, values: Tensor) -> Tensor:
        """Reshapes ``(1, S * n, k)`` to ``(S, n, k)``."""
        return values.view(self.settings.learners, self.settings.contexts, -1)

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        lr, momentum = self.inner_schedule()
        return lr, momentum

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """See ``Teacher.parameter_groups``: the environment's groups, then what exists only during the stage."""
        own = [p for name, p in self.named_parameters() if not name.startswith("environment.")]
        return [*self.environment.parameter_groups(), (1.0, own)]
