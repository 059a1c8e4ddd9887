"""Whole episodes of a batch of copies under a policy: returns, lengths and, on request, every transition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from gtn_core.errors import UsageError
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec

CHECK_EVERY = {"cpu": 1, "cuda": 16}  # steps; checking on a GPU whether all copies have ended makes the host wait


class Policy(Protocol):
    """Chooses the actions of the copies that are still stepped."""

    def __call__(self, observations: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
        """Returns actions (k,), integers, or (k, m), float32.

        Args:
            observations: (k, d), float32.
            alive: (k,), long, ascending: the indices of these copies. It is the same tensor object until copies are
                dropped, so a population may cache what it has selected for it.
        """


@dataclass(frozen=True, eq=False)
class Transitions:
    """Every step of the copies that were still running, in order of time.

    Attributes:
        observations: (N, d), float32.
        actions: (N,) or (N, m), as the policy gave them.
        rewards: (N,), float64.
        next_observations: (N, d), float32.
        terminated: (N,), bool.
        copies: (N,), long: index of the copy that took the step.
        steps: (N,), long: index of the step in its episode, from 0.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_observations: torch.Tensor
    terminated: torch.Tensor
    copies: torch.Tensor
    steps: torch.Tensor


@dataclass(frozen=True, eq=False)
class Rollout:
    """One episode of each of n copies.

    Attributes:
        returns: (n,), float64, the undiscounted sum of rewards.
        lengths: (n,), long.
        terminated: (n,), bool: ended by the task, not by a time limit.
        transitions: Every step, if recorded.
    """

    returns: torch.Tensor
    lengths: torch.Tensor
    terminated: torch.Tensor
    transitions: Transitions | None


@torch.no_grad()
def rollout(
    task: BatchedTask,
    policy: Policy,
    episodes: int,
    generator: np.random.Generator,
    *,
    max_steps: int | None = None,
    group: int = 1,
    alike: bool = False,
    record: bool = False,
) -> Rollout:
    """Runs one episode in each of n copies.

    Copies whose episodes have ended no longer count, and are dropped when at most half of those still stepped are left.

    Args:
        task: The task.
        policy: Chooses the actions.
        episodes: n, the number of copies.
        generator: Draws the initial states.
        max_steps: Where to cut episodes off: the task's own limit by default, and never beyond it.
        group: Copies are dropped in blocks of this many consecutive ones, so that a policy that is a population always
            sees equally many copies of every member. n is a multiple of it.
        alike: Whether the copies of a block start in the same state, for comparisons with less noise.
        record: Whether to keep the transitions.

    Raises:
        ValueError: ``episodes`` is not a positive multiple of ``group``.
        UsageError: Neither the task nor ``max_steps`` sets a limit.
    """
    if episodes < 1 or episodes % group:
        raise ValueError(f"episodes must be a positive multiple of the group size {group}, got {episodes}")
    limit = step_limit(task.spec, max_steps)
    check_every = CHECK_EVERY.get(task.device.type, 16)
    state = task.reset(episodes, generator, group if alike else 1)
    observations = task.observe(state)
    alive = torch.arange(episodes, device=task.device)
    tally = Tally.of(episodes, task.device)
    whole = Tally.of(episodes, task.device)
    log: list[tuple[torch.Tensor, ...]] = []
    for t in range(limit):
        actions = policy(observations, alive)
        before = observations
        state, reward, terminated, truncated = task.step(state, actions)
        observations = task.observe(state)
        if record:
            log.append((before, actions, reward, observations, terminated, alive, tally.running))
        tally.add(reward)
        ended = terminated if truncated is None else terminated | truncated
        if check_every == 1 and not ended.any():
            continue
        tally.end(ended, terminated)
        if (t + 1) % check_every:
            continue
        keep = tally.running.view(-1, group).any(1)
        left = int(keep.sum())
        if left == 0:
            break
        if left * group * 2 <= len(alive):
            whole.put(alive, tally)
            kept = keep.repeat_interleave(group).nonzero()[:, 0]
            alive, tally = alive[kept], tally.take(kept)
            state, observations = task.select(state, kept), observations[kept]
    whole.put(alive, tally)
    return Rollout(whole.returns, whole.lengths.long(), whole.terminated, transitions(log) if record else None)


@dataclass(eq=False)
class Tally:
    """What each copy has earned so far, and whether it is still running; changed in place.

    Attributes:
        returns: (k,), float64.
        lengths: (k,), float64, since it is summed with the same weights.
        terminated: (k,), bool.
        running: (k,), bool; a new tensor whenever it changes.
        weight: (k,), float64, 1 while running, then 0.
    """

    returns: torch.Tensor
    lengths: torch.Tensor
    terminated: torch.Tensor
    running: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, n: int, device: torch.device) -> Tally:
        """Returns the tally of n copies before their first step."""
        zeros = torch.zeros(n, dtype=torch.float64, device=device)
        yes = torch.ones(n, dtype=torch.bool, device=device)
        return cls(zeros, zeros.clone(), ~yes, yes, zeros + 1)

    def add(self, reward: torch.Tensor) -> None:
        """Adds one step with rewards (k,); those of copies whose episode has ended may be anything."""
        self.returns.add_(torch.where(self.running, reward, 0.0))
        self.lengths.add_(self.weight)

    def end(self, ended: torch.Tensor, terminated: torch.Tensor) -> None:
        """Stops the copies whose episodes have ended (k,), some of which have terminated (k,)."""
        self.terminated |= terminated & self.running
        self.running = self.running & ~ended
        self.weight = self.running.double()

    def take(self, index: torch.Tensor) -> Tally:
        """Returns the tally of the copies at ``index``."""
        parts = (self.returns, self.lengths, self.terminated, self.running, self.weight)
        return Tally(*(part[index] for part in parts))

    def put(self, index: torch.Tensor, other: Tally) -> None:
        """Copies the totals of ``other`` to the positions ``index``."""
        self.returns[index], self.lengths[index] = other.returns, other.lengths
        self.terminated[index] = other.terminated


def transitions(log: list[tuple[torch.Tensor, ...]]) -> Transitions:
    """Returns the steps of the copies that were running, from a log with one entry per step."""
    before, actions, rewards, after, terminated, copies = (
        torch.cat([entry[i][entry[-1]] for entry in log]) for i in range(6)
    )
    steps = torch.cat([torch.full_like(entry[-2], t)[entry[-1]] for t, entry in enumerate(log)])
    return Transitions(before, actions, rewards, after, terminated, copies, steps)


def step_limit(spec: TaskSpec, max_steps: int | None) -> int:
    """Returns the number of steps after which an episode is cut off.

    Raises:
        UsageError: There is no limit.
    """
    limits = [limit for limit in (spec.max_episode_steps, max_steps) if limit is not None]
    if not limits:
        raise UsageError(f"{spec.id} has no time limit; register it with max_episode_steps")
    return min(limits)
