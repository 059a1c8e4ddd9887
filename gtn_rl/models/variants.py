"""What an inner agent trains in: P variants of an environment, and the copies of them that it steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import torch
from torch import Tensor

from gtn_rl.tasks.protocol import TaskSpec


@dataclass(frozen=True)
class Transition:
    """One step of E copies of each of P variants.

    Attributes:
        reward: ``(P, E)``.
        terminated: Whose episode the environment ended, so that nothing comes after it. Bool, ``(P, E)``, or ``(1, E)`` where
            the episodes of all variants end together; where they do by their number of steps alone, it may lie on the CPU.
        truncated: Whose episode a time limit cut off, and which had not terminated; alike.
        last: Observations after the step, before any fresh start, in the task's units, ``(P, E, d)``.
    """

    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    last: Tensor

    @property
    def ended(self) -> Tensor:
        """Whose episode is over, for either reason."""
        return self.terminated | self.truncated


class Copies(Protocol):
    """E copies of each of P variants, stepped together; a copy whose episode has ended starts afresh.

    Episode j of copy e starts from the same noise in every variant, and from nothing that another variant does.

    Attributes:
        count: E.
    """

    count: int

    def observations(self) -> Tensor:
        """Returns what the agents see, in the task's units, ``(P, E, d)``."""

    def step(self, actions: Tensor) -> Transition:
        """Takes actions ``(P, E)`` or, normalised to [-1, 1], ``(P, E, m)``."""


class Variants(Protocol):
    """P variants of an environment, so that a population of agents trains side by side, one agent in each."""

    @property
    def spec(self) -> TaskSpec:
        """The real task, for spaces."""

    @property
    def mean(self) -> Tensor:
        """Centre of the real task's observations, ``(d,)``."""

    @property
    def std(self) -> Tensor:
        """Their spread, ``(d,)``, positive."""

    @property
    def size(self) -> int:
        """P."""

    @property
    def max_episode_steps(self) -> int:
        """Time limit of an episode."""

    @property
    def bandit(self) -> bool:
        """Whether every step terminates, so that no state has a value beyond its reward."""

    @property
    def real_steps(self) -> int:
        """Steps of the real task that all its copies have taken so far; 0 where nothing real is stepped."""

    def draw(self, sample: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """Draws by chance for each variant, ``(P, ...)``.

        One draw serves all where the variants are candidates that are compared, so that their agents meet the same chance; where
        they are one environment P times, each draws for an agent of its own.
        """

    def members(self, initial: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """Returns the initial parameters of P agents, one a variant, to be trained, ``(P, parameters)``; see ``draw``."""

    def copies(self, count: int, generator: torch.Generator, *, stagger: bool = False) -> Copies:
        """Returns copies at the start of their first episodes.

        Args:
            count: E.
            generator: Seeds the stream that initial states are drawn from.
            stagger: Whether the first episodes are cut off at different times, as those of one long-running copy would be.
        """

    def env(self, member: int) -> gym.Env[Any, Any]:
        """Returns one variant as a Gymnasium environment, with its time limit, flat observations, and discrete actions from 0."""
