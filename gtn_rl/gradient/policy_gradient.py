"""The stage ``meta-gradient``: exact policy gradients on the environment's rewards, a score function on the real task.

With contexts x of the environment and its reward r, the inner loss is an expectation over the policy in closed form:

    discrete:    l = -mean_x sum_a pi(a | x) r(x, a) - c H(pi)
    continuous:  l =  mean_x scale (|mu(x) - g(x)|^2 + sum sigma^2) - c H(pi)      of r = -scale |a - g(x)|^2, a ~ N(mu, sigma^2)

The meta-loss, minus the expected real return, has the gradient of Williams, *Simple Statistical Gradient-Following Algorithms for
Connectionist Reinforcement Learning* (Machine Learning 8, 1992), ``-E sum_t A_t grad log pi(a_t | s_t)`` at the trained phi.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_core.learner import Statistics
from gtn_core.second_order import Batch, InnerLoss
from gtn_core.seeding import Streams
from gtn_rl.agents.actor import ActorCritic
from gtn_rl.config import GradientConfig
from gtn_rl.gradient.experience import Experience
from gtn_rl.gradient.learners import Learners
from gtn_rl.gradient.lessons import Lessons
from gtn_rl.models.environment import EnvironmentTeacher, Model
from gtn_rl.models.networks import actor_critic
from gtn_rl.tasks.actions import normalise
from gtn_rl.tasks.protocol import TaskSpec

LEAST_SPREAD = 1e-8
"""Minimum root mean square that advantages are divided by; if all episodes are equal, only rounding errors remain."""


class RewardLessons(Lessons):
    """Contexts with the reward of every action, or, for continuous actions, with the best action and the reward's scale."""

    def answers(self, model: Model, x: Tensor) -> Batch:
        """See ``Lessons.answers``: the table ``(S, n, m)``, or targets ``(S, n, m)`` and scale ``()``."""
        if model.spec.discrete:
            return (self.by_learner(model.table(x)),)
        return self.by_learner(model.targets(x)), model.scale.squeeze()


class PolicyGradient:
    """See ``Form``; the module states the equations."""

    def refuse(self, spec: TaskSpec, settings: GradientConfig) -> None:
        """See ``Form.refuse``: all actions and all settings are accepted."""

    def lessons(self, environment: EnvironmentTeacher, streams: Streams, settings: GradientConfig) -> Lessons:
        """See ``Form.lessons``."""
        return RewardLessons(environment, streams, settings, steps=settings.steps, lr=0.02)

    def networks(self, spec: TaskSpec, hidden: tuple[int, ...]) -> ActorCritic:
        """See ``Form.networks``; the critic is never trained, and as small as possible."""
        actor = actor_critic(spec.observation_size, spec.action_size, hidden, "tanh", 0.01)
        return ActorCritic(spec, actor, actor_critic(spec.observation_size, 1, (), "tanh", 1.0))

    def inner_loss(self, learners: Learners, settings: GradientConfig) -> InnerLoss:
        """See ``Form.inner_loss``."""
        spec = learners.networks.spec
        room = torch.from_numpy(spec.action_high) - torch.from_numpy(spec.action_low)
        units = torch.where(room > 0, 2 / room, 0.0)  # 0 for an entry whose bounds are equal, as in normalise

        def discrete(phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics]:
            observations, table = batch
            log_policy = F.log_softmax(learners.agents(phi).outputs(observations), dim=2)
            gain = log_policy.exp() * (table - settings.entropy * log_policy)
            return -gain.sum(dim=2).mean(dim=1).sum(), ()

        def continuous(phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics]:
            observations, targets, scale = batch
            agents = learners.agents(phi)
            means = normalise(spec, agents.outputs(observations))
            variance = (agents.log_spread.exp() * units.to(targets)).square()
            distance = ((means - targets).square() + variance).sum(dim=2).mean(dim=1)
            return (scale * distance - settings.entropy * agents.log_spread.sum(dim=(1, 2))).sum(), ()

        return discrete if spec.discrete else continuous

    def surrogate(self, learners: Learners, phi: Tensor, experience: Experience, settings: GradientConfig) -> Tensor:
        """See ``Form.surrogate``."""
        advantages = time_advantages(experience, settings.discount)
        observations, actions = experience.observations.flatten(1, 2).to(phi), experience.actions.flatten(1, 2)
        log_probability, _ = learners.agents(phi).evaluate(observations, actions)
        return -(advantages.flatten(1, 2).to(phi) * log_probability).sum() / experience.taken.sum().to(phi)


def time_advantages(experience: Experience, discount: float) -> Tensor:
    """Returns returns to go minus their mean over all episodes at each step, scaled to mean square 1.

    Args:
        experience: The episodes.
        discount: Discount factor.

    Returns:
        Advantages, ``(S, E, L)``, float64.
    """
    taken, ahead = experience.taken, experience.returns_to_go(discount)
    baseline = ahead.sum(dim=(0, 1)) / taken.sum(dim=(0, 1)).clamp(min=1)
    return normalised(ahead - baseline, taken)


def normalised(advantages: Tensor, taken: Tensor) -> Tensor:
    """Scales advantages to mean square 1 over the steps taken and sets the others to 0; all ``(S, E, L)``."""
    advantages = advantages * taken
    return advantages / (advantages.square().sum() / taken.sum()).sqrt().clamp(min=LEAST_SPREAD)
