"""Episodes of the real task by learners that sample their actions, padded to one length, and their returns to go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl.gradient.learners import Learners
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec
from gtn_rl.tasks.rollout import rollout


@dataclass(frozen=True)
class Experience:
    """E episodes of each of S learners, L the longest; entries after an episode's end are 0.

    Attributes:
        observations: ``(S, E, L, d)``.
        actions: ``(S, E, L)``, or ``(S, E, L, m)`` in the task's units, unclipped.
        rewards: ``(S, E, L)``, float64.
        taken: ``(S, E, L)``, float64: 1 for a step of the episode.
        last: What was seen after the last step, ``(S, E, d)``.
        terminated: ``(S, E)``, bool: ended by the task, not by a time limit.
        returns: Undiscounted, ``(S, E)``, float64.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    taken: Tensor
    last: Tensor
    terminated: Tensor
    returns: Tensor

    @property
    def real_steps(self) -> int:
        """Steps of the real task."""
        return int(self.taken.sum())

    def returns_to_go(self, discount: float, beyond: Tensor | None = None) -> Tensor:
        """Returns the discounted sum of rewards from each step on, ``(S, E, L)``, float64.

        Args:
            discount: Gamma.
            beyond: What is to come after the last step, ``(S, E)``.
        """
        ahead = torch.zeros_like(self.returns)
        ends = self.taken.sum(dim=2).long() - 1
        columns = []
        for t in reversed(range(self.rewards.shape[2])):
            if beyond is not None:
                ahead = torch.where(ends == t, beyond.double(), ahead)
            ahead = self.rewards[:, :, t] + discount * ahead
            columns.append(ahead)
        return torch.stack(columns[::-1], dim=2) * self.taken


@torch.no_grad()
def gather(
    task: BatchedTask,
    learners: Learners,
    phi: Tensor,
    episodes: int,
    generator: torch.Generator,
    random: np.random.Generator,
) -> Experience:
    """Runs every learner for some episodes of the real task, each with initial states and noise of its own.

    Args:
        task: The real task.
        learners: S learners.
        phi: Their parameters, ``(S * D,)``.
        episodes: E.
        generator: Draws the actions.
        random: Draws the initial states.
    """
    agents, count = learners.agents(phi), learners.count
    n = count * episodes
    sampled: list[tuple[Tensor, Tensor]] = []

    def act(observations: Tensor, alive: Tensor) -> Tensor:
        by_learner = observations.view(-1, count, observations.shape[1]).transpose(0, 1).to(phi)
        actions = agents.sample(by_learner, generator, alike=False).transpose(0, 1).flatten(0, 1)
        if task.spec.discrete:
            return actions
        sampled.append((alive, actions))
        return clipped(task.spec, actions)

    result = rollout(task, act, n, random, group=count, record=True)
    steps = result.transitions
    assert steps is not None
    longest = int(result.lengths.max())

    def padded(values: Tensor) -> Tensor:
        """Puts one entry a step, ``(N, ...)``, in its place: ``(S, E, L, ...)``."""
        grid = values.new_zeros(longest, n, *values.shape[1:])
        grid[steps.steps, steps.copies] = values
        return grid.unflatten(1, (episodes, count)).movedim((2, 1, 0), (0, 1, 2))

    actions = steps.actions
    if not task.spec.discrete:  # transitions hold what the task was given, clipped; densities are of what was drawn
        grid = [drawn.new_zeros(n, *drawn.shape[1:]).index_copy(0, copies, drawn) for copies, drawn in sampled]
        actions = torch.stack(grid)[steps.steps, steps.copies]
    final = steps.steps == result.lengths[steps.copies] - 1
    last = steps.next_observations.new_zeros(n, task.spec.observation_size)
    last[steps.copies[final]] = steps.next_observations[final]

    def by_learner(values: Tensor) -> Tensor:
        """Turns one entry a copy, ``(n, ...)``, into ``(S, E, ...)``."""
        return values.unflatten(0, (episodes, count)).transpose(0, 1)

    return Experience(
        observations=padded(steps.observations),
        actions=padded(actions),
        rewards=padded(steps.rewards),
        taken=padded(torch.ones_like(steps.rewards)),
        last=by_learner(last),
        terminated=by_learner(result.terminated),
        returns=by_learner(result.returns),
    )


def clipped(spec: TaskSpec, actions: Tensor) -> Tensor:
    """Returns continuous actions ``(n, m)`` within the task's bounds, float32."""
    low, high = (torch.from_numpy(bound).to(actions) for bound in (spec.action_low, spec.action_high))
    return actions.clamp(low, high).float()
