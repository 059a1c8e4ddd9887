"""States and transitions of the real task, from which initial states, normalisation and fitted dynamics start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_core.errors import GTNError, UsageError
from gtn_rl.agents import Policies
from gtn_rl.config import EnvironmentConfig
from gtn_rl.fitness import greedy_policies
from gtn_rl.models.teacher import LearnedTeacher
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec
from gtn_rl.tasks.rollout import Transitions, rollout

LEAST_STD = 1e-3
"""Minimum standard deviation of an observation's entry, so that a constant one does not lead to a division by zero."""


@dataclass(frozen=True)
class Harvest:
    """Some recorded episodes of the real task.

    Attributes:
        transitions: Every step.
        returns: Undiscounted return of each episode, ``(episodes,)``.
        real_steps: Number of steps taken.
    """

    transitions: Transitions
    returns: Tensor
    real_steps: int

    def to(self, device: torch.device | str) -> Harvest:
        """Returns the harvest on a device."""
        moved = {name: tensor.to(device) for name, tensor in vars(self.transitions).items()}
        return Harvest(Transitions(**moved), self.returns.to(device), self.real_steps)

    @property
    def states(self) -> Tensor:
        """The observations, ``(N, d)``."""
        return self.transitions.observations

    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Returns the mean and standard deviation of the observations, each ``(d,)``."""
        return self.states.mean(dim=0), self.states.std(dim=0).clamp(min=LEAST_STD)

    def return_size(self) -> float:
        """Returns the root mean square of the episodes' returns, at least 1."""
        return float(self.returns.square().mean().sqrt().clamp(min=1))

    def centres(self, count: int, random: np.random.Generator, first_steps: int | None = None) -> Tensor:
        """Draws states, ``(count, d)``, without replacement if there are enough.

        Args:
            count: Number of states.
            random: Draws them.
            first_steps: Takes only states from the first steps of each episode; None for all.
        """
        states = self.states if first_steps is None else self.states[self.transitions.steps < first_steps]
        chosen = random.choice(len(states), count, replace=len(states) < count)
        return states[torch.from_numpy(chosen)]


def harvest(
    task: BatchedTask,
    episodes: int,
    random: np.random.Generator,
    *,
    policies: Policies | None = None,
    exploration: float = 1.0,
) -> Harvest:
    """Runs episodes of the real task and records every step.

    Args:
        task: The real task.
        episodes: Number of episodes.
        random: Draws initial states and random actions.
        policies: One policy (P = 1) for the actions that are not random; None makes all of them random.
        exploration: Share of random actions.

    Raises:
        GTNError: The task returned a non-finite observation or reward.
        UsageError: There was only one state.
    """

    def act(observations: Tensor, alive: Tensor) -> Tensor:
        actions = random_actions(task.spec, len(observations), random).to(observations.device)
        if policies is None:
            return actions
        greedy = policies.act(observations.unsqueeze(0)).squeeze(0)
        explores = torch.from_numpy(random.random(len(observations)) < exploration).to(observations.device)
        return torch.where(explores if task.spec.discrete else explores.unsqueeze(1), actions, greedy)

    result = rollout(task, act, episodes, random, record=True)
    assert result.transitions is not None
    _refuse_what_is_no_number(task.spec.id, result.transitions)
    if len(result.transitions.observations) < 2:
        raise UsageError(
            f"{episodes} episode of {task.spec.id} gave a single state, which has no spread; raise environment.harvest_episodes"
        )
    return Harvest(result.transitions, result.returns, int(result.lengths.sum()))


def _refuse_what_is_no_number(task: str, transitions: Transitions) -> None:
    given = {
        "an observation": torch.cat([transitions.observations, transitions.next_observations]),
        "a reward": transitions.rewards,
    }
    for what, values in given.items():
        wrong = values[~torch.isfinite(values)]
        if len(wrong):
            raise GTNError(f"{task} gave {what} that is not finite: {float(wrong[0])}")


def harvest_from_greedy(
    task: BatchedTask, teacher: LearnedTeacher, settings: EnvironmentConfig, random: np.random.Generator
) -> Harvest:
    """Runs episodes under a teacher's greedy policy, with a share of random actions; see ``harvest``."""
    policies = greedy_policies(teacher)
    return harvest(task, settings.harvest_episodes, random, policies=policies, exploration=settings.exploration)


def start_from_greedy(
    task: BatchedTask, teacher: LearnedTeacher, settings: EnvironmentConfig, random: np.random.Generator
) -> Harvest:
    """Moves a teacher's initial states to states from ``harvest_from_greedy``, and returns the harvest."""
    gathered = harvest_from_greedy(task, teacher, settings, random)
    spread = settings.jitter * gathered.normalisation()[1] if settings.spread == "policy" else None
    teacher.set_centres(gathered.centres(settings.centres, random, settings.harvest_steps), spread)
    return gathered


def random_actions(spec: TaskSpec, n: int, random: np.random.Generator) -> Tensor:
    """Draws uniform actions: integers ``(n,)``, or ``(n, m)`` in the task's units."""
    if spec.discrete:
        return torch.from_numpy(random.integers(0, spec.action_size, n))
    return torch.from_numpy(random.uniform(spec.action_low, spec.action_high, (n, spec.action_size))).float()
