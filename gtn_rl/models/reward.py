"""A learned reward on the real task as a teacher: its parameters, a population of its variants, and its file.

``gtn_envs.LearnedReward`` runs what this module trains; ``docs/environments.md`` states the equations of the form ``reward``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from gtn_envs import LearnedReward
from gtn_rl.models.learned_variants import LearnedVariants, normalised, root_mean_square
from gtn_rl.models.networks import as_layers, forward
from gtn_rl.models.reward_copies import RewardedCopies
from gtn_rl.models.teacher import LearnedTeacher, network
from gtn_rl.tasks.flat_env import FlatEnv
from gtn_rl.tasks.protocol import BatchedTask
from gtn_rl.tasks.registry import make_env
from gtn_rl.tasks.rollout import step_limit


@dataclass
class Meter:
    """Counts the steps of the real task.

    Attributes:
        steps: Number of steps so far.
    """

    steps: int = 0

    def add(self, steps: int = 1) -> None:
        """Adds to the count."""
        self.steps += steps


@dataclass(frozen=True, kw_only=True)
class RewardedTask(LearnedVariants):
    """P copies of the real task, with its own terminations and time limit, each with a learned reward.

    Attributes:
        task: The real task.
        gamma: Discount factor of a potential, which is added to the real reward; ``None`` for a state-action reward in
            its place.
        meter: Counts the real steps of all copies.
    """

    task: BatchedTask
    gamma: float | None
    meter: Meter = field(default_factory=Meter)

    @property
    def bandit(self) -> bool:
        """See ``Variants.bandit``."""
        return False

    @property
    def real_steps(self) -> int:
        """See ``Variants.real_steps``."""
        return self.meter.steps

    def copies(self, count: int, generator: torch.Generator, *, stagger: bool = False) -> RewardedCopies:
        """See ``Variants.copies``; a task that runs Gymnasium environments holds only the copies made last."""
        return RewardedCopies(self, count, generator, stagger=stagger)

    def env(self, member: int) -> gym.Env[Any, Any]:
        """See ``Variants.env``; its steps count as real ones, too."""
        return LearnedReward(FlatEnv(make_env(self.spec.id, {}), self.meter.add), self.weights(member))

    def judged(self, x: Tensor, actions: Tensor, real: Tensor, after: Tensor, terminated: Tensor) -> Tensor:
        """Returns the rewards of steps, ``(P, n)``.

        Args:
            x: Normalised states before the step, ``(P, n, d)``.
            actions: Actions as in ``rewards``.
            real: The real rewards, ``(P, n)``.
            after: Normalised states after the step, ``(P, n, d)``.
            terminated: Whether the real task terminated there, bool, ``(P, n)``.
        """
        if self.gamma is None:
            return self.rewards(x, actions)
        before, beyond = (self.table(states).squeeze(2) for states in (x, after))
        return real + self.gamma * beyond * ~terminated - before

    def document(self) -> dict[str, Any]:
        """See ``LearnedVariants.document``."""
        mode = (
            {"reward_mode": "state-action"} if self.gamma is None else {"reward_mode": "potential", "gamma": self.gamma}
        )
        return {"form": "reward", "task": self.spec.id, "activation": self.activation, "regret": self.regret, **mode}


class RewardTeacher(LearnedTeacher[RewardedTask]):
    """A reward that is meta-learned for the real task's own dynamics.

    Args:
        task: The real task.
        mean: Mean of its observations, shape ``(d,)``.
        std: Standard deviation of its observations, ``(d,)``, positive.
        states: States of the real task, in its units, on which the reward's scale is normalised, ``(K, d)``.
        seed: Seed of the network's initial weights.
        hidden: Hidden widths of the reward network.
        activation: Activation of the network, ``tanh`` or ``relu``.
        regret: Whether a state-action reward of a discrete action is relative to the best action's.
        gamma: Discount factor of a potential; ``None`` for a state-action reward.
        scale: Initial size of the reward or potential.
    """

    states: Tensor

    def __init__(
        self,
        task: BatchedTask,
        mean: Tensor,
        std: Tensor,
        states: Tensor,
        *,
        seed: int,
        hidden: Sequence[int] = (32,),
        activation: str = "tanh",
        regret: bool = False,
        gamma: float | None = None,
        scale: float = 1.0,
    ) -> None:
        spec, outputs = task.spec, task.spec.action_size if gamma is None else 1
        generator = torch.Generator().manual_seed(seed)
        reward = network((spec.observation_size, *hidden, outputs), generator)
        regret = regret and gamma is None
        super().__init__(spec, mean, std, reward, activation=activation, regret=regret, scale=scale)
        self.task, self.gamma = task, gamma
        self.register_buffer("states", (states.float() - self.mean) / self.std)

    def variants(self, candidates: Tensor) -> RewardedTask:
        """Returns the real task with the rewards that candidate vectors ``(P, D)`` make in place of theta."""
        values = self.values(candidates)
        (log_scale,) = values["scale"]
        scale = log_scale.exp().view(-1, 1, 1)
        variants = RewardedTask(
            spec=self.spec,
            mean=self.mean,
            std=self.std,
            reward=as_layers(values["reward"]),
            scale=scale,
            max_episode_steps=step_limit(self.spec, None),
            activation=self.activation,
            regret=self.regret,
            task=self.task,
            gamma=self.gamma,
        )
        x = self.states.expand(len(candidates), -1, -1)
        if self.gamma is None:
            return normalised(variants, log_scale, x)
        return replace(variants, scale=scale / root_mean_square(forward(variants.reward, x, self.activation)))

    def set_centres(self, states: Tensor, spread: Tensor | None = None) -> None:
        """See ``LearnedTeacher.set_centres``: normalises the reward's scale on these states; ignores ``spread``."""
        self.states.copy_((states - self.mean) / self.std)
