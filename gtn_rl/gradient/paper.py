"""The stage ``paper``: the form in which Such et al., *Generative Teaching Networks* (ICML 2020), taught CartPole.

In the paper, a fresh learner takes one step of gradient descent, by regression, on a synthetic batch of observations
and target outputs; its policy then plays the real task, and an advantage actor-critic loss is differentiated through
that step.

Here, the batch comes from an environment, so that the resulting file can be trained in like any other: observations are
its initial states, and the policy's target outputs are its table of rewards. A small network that maps contexts to the
value head's targets is meta-learned with it and discarded after the stage; so is the step's learning rate. Values are
of ``1 - gamma`` times the return, a mean of rewards. Advantages are scaled to mean square 1, whole episodes are played,
and the loss is averaged over S learners.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.errors import UsageError
from gtn_core.learner import Statistics
from gtn_core.second_order import Batch, InnerLoss
from gtn_core.seeding import Streams
from gtn_rl.agents.actor import ActorCritic
from gtn_rl.config import GradientConfig
from gtn_rl.gradient.experience import Experience
from gtn_rl.gradient.learners import Learners
from gtn_rl.gradient.lessons import Lessons
from gtn_rl.gradient.policy_gradient import normalised
from gtn_rl.models.environment import EnvironmentTeacher, Model
from gtn_rl.models.networks import actor_critic
from gtn_rl.tasks.protocol import TaskSpec

VALUE_WEIGHT = 0.5
"""Weight of the critic's squared error in the meta-loss (Mnih et al., ICML 2016)."""
ENTROPY_WEIGHT = 0.01
"""Weight of the policy's entropy in the meta-loss (Mnih et al., ICML 2016)."""
VALUE_HIDDEN = (32,)
"""Hidden widths of the network of value targets."""


MEANINGLESS = ("steps", "every", "momentum", "entropy")
"""Settings that only apply to a longer inner loop, or to a policy's own loss."""


class OutputLessons(Lessons):
    """Contexts with the targets of a learner's outputs: a policy's preferences, and a value; see ``Lessons``."""

    def __init__(
        self, environment: EnvironmentTeacher, streams: Streams, settings: GradientConfig, *, steps: int, lr: float
    ) -> None:
        super().__init__(environment, streams, settings, steps=steps, lr=lr)
        self.network = actor_critic(environment.spec.observation_size, 1, VALUE_HIDDEN, "tanh", 0.01)
        self.value = nn.Parameter(self.network.initial(streams.torch("value-targets")))
        self.to(environment.mean.device)

    def answers(self, model: Model, x: Tensor) -> Batch:
        """See ``Lessons.answers``: the table ``(S, n, m)`` and values ``(S, n)``."""
        values = self.network(self.value.unsqueeze(0), x)
        return self.by_learner(model.table(x)), self.by_learner(values).squeeze(2)


class Paper:
    """See ``Form``; the module says what is the paper's and what is ours."""

    def refuse(self, spec: TaskSpec, settings: GradientConfig) -> None:
        """See ``Form.refuse``."""
        if not spec.discrete:
            raise UsageError(
                f"the stage paper regresses on a reward for each action, which {spec.id} with {spec.action_space} does not"
                " have; use meta-gradient"
            )
        usual = GradientConfig()
        if told := [name for name in MEANINGLESS if getattr(settings, name) != getattr(usual, name)]:
            raise UsageError(
                f"gradient.{told[0]} has no effect in the stage paper, which takes one step of regression; use meta-gradient"
            )

    def lessons(self, environment: EnvironmentTeacher, streams: Streams, settings: GradientConfig) -> Lessons:
        """See ``Form.lessons``: one step, in which momentum has no effect."""
        return OutputLessons(environment, streams, settings, steps=1, lr=0.3)

    def networks(self, spec: TaskSpec, hidden: tuple[int, ...]) -> ActorCritic:
        """See ``Form.networks``."""
        return ActorCritic.build(spec, hidden)

    def inner_loss(self, learners: Learners, settings: GradientConfig) -> InnerLoss:
        """See ``Form.inner_loss``: the mean squared error over all outputs of a learner."""

        def loss(phi: Tensor, batch: Batch) -> tuple[Tensor, Statistics]:
            observations, table, values = batch
            agents = learners.agents(phi)
            wrong = (agents.values(observations) - values).unsqueeze(2)
            errors = torch.cat([agents.outputs(observations) - table, wrong], dim=2)
            return errors.square().mean(dim=(1, 2)).sum(), ()

        return loss

    def surrogate(self, learners: Learners, phi: Tensor, experience: Experience, settings: GradientConfig) -> Tensor:
        """See ``Form.surrogate``: the sum of policy, value and entropy terms."""
        agents = learners.agents(phi)
        observations, actions = experience.observations.flatten(1, 2).to(phi), experience.actions.flatten(1, 2)
        log_policy = F.log_softmax(agents.outputs(observations), dim=2)
        values = agents.values(observations)
        scale = 1 - settings.discount
        beyond = learners.agents(phi.detach()).values(experience.last.to(phi)) * ~experience.terminated / scale
        returns = scale * experience.returns_to_go(settings.discount, beyond)
        taken = experience.taken
        advantages = normalised(returns - values.detach().view_as(returns), taken).flatten(1, 2).to(phi)
        log_probability = log_policy.gather(2, actions.unsqueeze(2)).squeeze(2)
        entropy = -(log_policy.exp() * log_policy).sum(dim=2)
        error = (returns.flatten(1, 2).to(phi) - values).square()
        per_step = VALUE_WEIGHT * error - advantages * log_probability - ENTROPY_WEIGHT * entropy
        weights = taken.flatten(1, 2).to(phi)
        return (per_step * weights).sum() / weights.sum()
