"""What the differentiable stages differ in: what learners are taught, by which loss, and how they are evaluated."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from gtn_core.second_order import InnerLoss
from gtn_core.seeding import Streams
from gtn_rl.agents.actor import ActorCritic
from gtn_rl.config import GradientConfig
from gtn_rl.gradient.experience import Experience
from gtn_rl.gradient.learners import Learners
from gtn_rl.gradient.lessons import Lessons
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.tasks.protocol import TaskSpec


class Form(Protocol):
    """One form of the inner loop and its meta-loss."""

    def refuse(self, spec: TaskSpec, settings: GradientConfig) -> None:
        """Raises UsageError if the task's actions do not suit this form, or a setting does not apply to it."""

    def lessons(self, environment: EnvironmentTeacher, streams: Streams, settings: GradientConfig) -> Lessons:
        """Returns the environment as a teacher of this form."""

    def networks(self, spec: TaskSpec, hidden: tuple[int, ...]) -> ActorCritic:
        """Returns the architecture of a learner."""

    def inner_loss(self, learners: Learners, settings: GradientConfig) -> InnerLoss:
        """Returns the loss of one inner step, summed over the learners."""

    def surrogate(self, learners: Learners, phi: Tensor, experience: Experience, settings: GradientConfig) -> Tensor:
        """Returns a scalar whose gradient with respect to phi is that of the meta-loss; its value has no meaning."""
