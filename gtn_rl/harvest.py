"""States and transitions of the real task: where initial states, normalisation and fitted dynamics start from."""

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
"""Least spread of an observation's entry; one that never moves must not be divided by nothing."""


@dataclass(frozen=True)
class Harvest:
    """What some episodes of the real task left.

    Attributes:
        transitions: Every step.
        returns: Undiscounted return of each episode.
        real_steps: Steps taken.
    """

    transitions: Transitions
    returns: Tensor
    real_steps: int

    def to(self, device: torch.device | str) -> Harvest:
        """Returns the same on a device."""
        moved = {name: tensor.to(device) for name, tensor in vars(self.transitions).items()}
        return Harvest(Transitions(**moved), self.returns.to(device), self.real_steps)

    @property
    def states(self) -> Tensor:
        """The observations, ``(N, d)``."""
        return self.transitions.observations

    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation of the observations, each ``(d,)``."""
        return self.states.mean(dim=0), self.states.std(dim=0).clamp(min=LEAST_STD)

    def return_size(self) -> float:
        """Returns the root mean square of the episodes' returns, at least 1."""
        return float(self.returns.square().mean().sqrt().clamp(min=1))

    def centres(self, count: int, random: np.random.Generator, first_steps: int | None = None) -> Tensor:
        """Draws states, as different ones as there are, ``(count, d)``; of the first steps of each episode alone, where told."""
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
    """Runs episodes of the real task and keeps every step.

    Args:
        task: The real task.
        episodes: How many.
        random: Draws initial states and random actions.
        policies: One policy (P = 1) that acts where exploration does not.
        exploration: Share of random actions.

    Raises:
        GTNError: The task gave an observation or a reward that is not finite.
        UsageError: There was but one state.
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
            f"{episodes} episode of {task.spec.id} has one state, which has no spread: more environment.harvest_episodes have"
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
    """Runs episodes under the policy that takes the action of the greatest reward, and errs now and then; see ``harvest``."""
    policies = greedy_policies(teacher)
    return harvest(task, settings.harvest_episodes, random, policies=policies, exploration=settings.exploration)


def start_from_greedy(
    task: BatchedTask, teacher: LearnedTeacher, settings: EnvironmentConfig, random: np.random.Generator
) -> Harvest:
    """Starts a teacher's initial states anew, from what ``harvest_from_greedy`` returns."""
    gathered = harvest_from_greedy(task, teacher, settings, random)
    spread = settings.jitter * gathered.normalisation()[1] if settings.spread == "policy" else None
    teacher.set_centres(gathered.centres(settings.centres, random, settings.harvest_steps), spread)
    return gathered


def random_actions(spec: TaskSpec, n: int, random: np.random.Generator) -> Tensor:
    """Draws uniform actions, ``(n,)`` or, in the task's units, ``(n, m)``."""
    if spec.discrete:
        return torch.from_numpy(random.integers(0, spec.action_size, n))
    return torch.from_numpy(random.uniform(spec.action_low, spec.action_high, (n, spec.action_size))).float()
