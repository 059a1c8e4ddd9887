"""Real episodes of learners that sample their actions, padded to one length, and their returns to go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gtn_rl.gradient.learners import Learners
from gtn_rl.tasks.actions import clipped
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec
from gtn_rl.tasks.rollout import Transitions, rollout


@dataclass(frozen=True)
class Experience:
    """E episodes of each of S learners, padded with 0 to the length L of the longest.

    Attributes:
        observations: ``(S, E, L, d)``.
        actions: ``(S, E, L)``, or ``(S, E, L, m)`` in the task's units, unclipped.
        rewards: ``(S, E, L)``, float64.
        taken: ``(S, E, L)``, float64: 1 for a step of the episode, else 0.
        last: Observations after the last step, ``(S, E, d)``.
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
        """Number of real steps."""
        return int(self.taken.sum())

    def returns_to_go(self, discount: float, beyond: Tensor | None = None) -> Tensor:
        """Returns the discounted sums of rewards from each step on, ``(S, E, L)``, float64.

        Args:
            discount: Discount factor.
            beyond: Values of the states after the last step, ``(S, E)``; None for 0.
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
    """Runs every learner for some episodes of the real task, each with its own initial states and noise.

    Args:
        task: The real task.
        learners: S learners.
        phi: Their parameters, ``(S * D,)``.
        episodes: E, the number of episodes per learner.
        generator: Draws the actions.
        random: Draws the initial states.
    """
    policy = _Sampling(task.spec, learners, phi, generator)
    result = rollout(task, policy, learners.count * episodes, random, group=learners.count, record=True)
    steps = result.transitions
    assert steps is not None
    places = _Places(steps, episodes, learners.count, int(result.lengths.max()))
    # transitions hold the clipped actions that the task was given; densities are of the unclipped ones
    actions = steps.actions if task.spec.discrete else policy.drawn_at(steps, places.copies)
    return Experience(
        observations=places.padded(steps.observations),
        actions=places.padded(actions),
        rewards=places.padded(steps.rewards),
        taken=places.padded(torch.ones_like(steps.rewards)),
        last=places.by_learner(_last_seen(steps, result.lengths)),
        terminated=places.by_learner(result.terminated),
        returns=places.by_learner(result.returns),
    )


class _Sampling:
    """The policy of S learners that sample their actions; those of a Box are also kept as they were before clipping."""

    def __init__(self, spec: TaskSpec, learners: Learners, phi: Tensor, generator: torch.Generator) -> None:
        self._spec, self._count, self._phi, self._generator = spec, learners.count, phi, generator
        self._agents = learners.agents(phi)
        self._drawn: list[tuple[Tensor, Tensor]] = []

    def __call__(self, observations: Tensor, alive: Tensor) -> Tensor:
        """See ``rollout.Policy``."""
        by_learner = observations.view(-1, self._count, observations.shape[1]).transpose(0, 1).to(self._phi)
        actions = self._agents.sample(by_learner, self._generator, alike=False).transpose(0, 1).flatten(0, 1)
        if self._spec.discrete:
            return actions
        self._drawn.append((alive, actions))
        return clipped(self._spec, actions)

    def drawn_at(self, steps: Transitions, n: int) -> Tensor:
        """Returns the unclipped actions of N steps of n copies, ``(N, m)``."""
        grid = [drawn.new_zeros(n, *drawn.shape[1:]).index_copy(0, copies, drawn) for copies, drawn in self._drawn]
        return torch.stack(grid)[steps.steps, steps.copies]


@dataclass(frozen=True)
class _Places:
    """Maps the N steps of n = E S copies to padded arrays; copy ``e * S + s`` is episode e of learner s.

    Attributes:
        steps: The recorded steps.
        episodes: E.
        count: S.
        longest: L.
    """

    steps: Transitions
    episodes: int
    count: int
    longest: int

    @property
    def copies(self) -> int:
        """n, the number of copies."""
        return self.episodes * self.count

    def padded(self, values: Tensor) -> Tensor:
        """Arranges one entry per step, ``(N, ...)``, as ``(S, E, L, ...)``, padded with 0."""
        grid = values.new_zeros(self.longest, self.copies, *values.shape[1:])
        grid[self.steps.steps, self.steps.copies] = values
        return grid.unflatten(1, (self.episodes, self.count)).movedim((2, 1, 0), (0, 1, 2))

    def by_learner(self, values: Tensor) -> Tensor:
        """Arranges one entry per copy, ``(n, ...)``, as ``(S, E, ...)``."""
        return values.unflatten(0, (self.episodes, self.count)).transpose(0, 1)


def _last_seen(steps: Transitions, lengths: Tensor) -> Tensor:
    """Returns the last observation of each of n copies, ``(n, d)``, given the lengths of their episodes, ``(n,)``."""
    final = steps.steps == lengths[steps.copies] - 1
    last = steps.next_observations.new_zeros(len(lengths), steps.next_observations.shape[1])
    last[steps.copies[final]] = steps.next_observations[final]
    return last
