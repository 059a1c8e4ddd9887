"""The differentiable stages as jobs of the outer loop: an episode of S learners, and the usual judge."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from gtn_core.estimators import Episode
from gtn_core.inner_optim import SGD
from gtn_core.learner import Statistics
from gtn_core.outer_job import Validation
from gtn_core.registry import Registry
from gtn_core.seeding import Streams
from gtn_rl.config import GradientConfig
from gtn_rl.gradient.experience import gather
from gtn_rl.gradient.form import Form
from gtn_rl.gradient.learners import Learners, draw_hidden
from gtn_rl.gradient.lessons import Lessons
from gtn_rl.gradient.paper import Paper
from gtn_rl.gradient.policy_gradient import PolicyGradient
from gtn_rl.job import Save
from gtn_rl.judge import Judge
from gtn_rl.tasks.protocol import BatchedTask

FORMS: Registry[Form] = Registry("differentiable stage")
FORMS.register("meta-gradient")(PolicyGradient())
FORMS.register("paper")(Paper())


class GradientJob:
    """Episodes and validation of one differentiable stage; see ``gtn_core.outer_job.Job``.

    Args:
        form: What the learners are taught, and how they are evaluated.
        settings: The stage's settings.
        task: The real task.
        lessons: The teacher to train.
        streams: The stage's random streams.
        episodes: Real episodes per learner.
        judge: Validates the teacher.
        save: Stores the best teacher.
    """

    def __init__(
        self,
        form: Form,
        settings: GradientConfig,
        task: BatchedTask,
        lessons: Lessons,
        streams: Streams,
        episodes: int,
        judge: Judge,
        save: Save,
    ) -> None:
        self.form, self.settings, self.task, self.lessons = form, settings, task, lessons
        self.streams, self.episodes, self.judge, self.save = streams, episodes, judge, save

    def episode(self, iteration: int, progress: float) -> Episode:
        """See ``Job.episode``: fresh learners of one drawn architecture, fresh contexts, fresh real episodes."""
        self.lessons.draw(iteration)
        hidden = draw_hidden(self.streams.numpy("learner-widths", iteration))
        learners = Learners(self.form.networks(self.task.spec, hidden), self.settings.learners)
        phi = learners.initial(self.streams.torch("learners", iteration)).to(self.lessons.environment.mean)
        values = {"cost/real_steps": 0.0}
        steps, every = self.lessons.steps, self.settings.every

        def meta_loss(phi: Tensor, statistics: Statistics, step: int) -> Tensor:
            experience = gather(
                self.task,
                learners,
                phi.detach(),
                self.episodes,
                self.streams.torch("real-actions", iteration, step),
                self.streams.numpy("real-episodes", iteration, step),
            )
            values["cost/real_steps"] += experience.real_steps
            returns = experience.returns.mean(dim=1)
            if step == steps:
                values["meta/fitness"] = float(returns.mean())
                values["meta/fitness_best"] = float(returns.max())
                values["meta/fitness_spread"] = float(returns.std(correction=0))
            surrogate = self.form.surrogate(learners, phi, experience, self.settings)
            # Its value is minus the return, for the log and for estimators that need nothing else.
            return surrogate - surrogate.detach() - returns.mean().to(phi)

        between = range(every, steps, every) if every else range(0)
        weights = {step: 1 / len(between) for step in between} | {steps: 1.0}
        inner_loss = self.form.inner_loss(learners, self.settings)
        return Episode(inner_loss, SGD(), phi, meta_loss, weights, values)

    def validate(self, before_learner: Callable[[], None]) -> Validation:
        """See ``Job.validate``: by agents with their usual hyper-parameters, as in any other stage."""
        return self.judge(self.lessons.environment.model, before_learner)

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """See ``Job.save_teacher``."""
        self.save(validation, iteration)
