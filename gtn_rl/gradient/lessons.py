"""A learned environment as the teacher of a differentiable inner loop: what each inner step shows, and how to step."""

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
    """Contexts of an environment with what its reward says of them, and the inner schedule.

    Contexts are reparameterised draws of the initial states, so gradients reach the centres and their spread. A Markov decision
    process is taught by its initial states, too: its transitions are not run. The schedule is meta-learned with the
    environment while a stage runs, and is no part of its file: every agent brings an optimizer of its own.

    Args:
        environment: What the stage trains.
        streams: The stage's randomness.
        settings: Learners, contexts, and where the schedule starts.
        steps: Inner steps.
        lr: Where their learning rate starts, unless the settings say so.
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
        """Draws the contexts anew for an outer step: a function of its number and the stage's seed alone."""
        self.outer_step = outer_step

    def batch(self, step: int) -> Batch:
        """Returns observations ``(S, n, d)``, in the task's units, and what the environment says of them."""
        model = self.environment.variants(parameters_to_vector(self.environment.trained()).unsqueeze(0))
        generator = self.streams.torch("contexts", self.outer_step, step)
        x = model.initial(self.settings.learners * self.settings.contexts, generator)
        return self.by_learner(model.observe(x)), *self.answers(model, x)

    def answers(self, model: Model, x: Tensor) -> Batch:
        """Returns what a learner is taught of normalised states ``(1, S * n, d)``."""
        raise NotImplementedError

    def by_learner(self, values: Tensor) -> Tensor:
        """Turns ``(1, S * n, k)`` into ``(S, n, k)``."""
        return values.view(self.settings.learners, self.settings.contexts, -1)

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        lr, momentum = self.inner_schedule()
        return lr, momentum

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """See ``Teacher.parameter_groups``: the environment's, then what lives as long as the stage."""
        own = [p for name, p in self.named_parameters() if not name.startswith("environment.")]
        return [*self.environment.parameter_groups(), (1.0, own)]
