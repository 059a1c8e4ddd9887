"""What inner agents train in: P variants of an environment, and the copies of them that are stepped."""

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
        terminated: Where the environment ended the episode, so that nothing follows. Bool, ``(P, E)``, or ``(1, E)``
            where the episodes of all variants end together; if they end by their time limit only, it may be on the CPU.
        truncated: Where a time limit cut the episode off without its having terminated; likewise.
        last: Observations after the step, before any reset, in the task's units, ``(P, E, d)``.
    """

    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    last: Tensor

    @property
    def ended(self) -> Tensor:
        """Where the episode is over, for either reason."""
        return self.terminated | self.truncated


class Copies(Protocol):
    """E copies of each of P variants, stepped together; a copy is reset when its episode ends.

    Episode j of copy e starts from the same noise in every variant, whatever happens in the other variants.

    Attributes:
        count: E, the number of copies of each variant.
    """

    count: int

    def observations(self) -> Tensor:
        """Returns the observations, in the task's units, ``(P, E, d)``."""

    def step(self, actions: Tensor) -> Transition:
        """Takes one step with actions ``(P, E)`` or, normalised to [-1, 1], ``(P, E, m)``."""


class Variants(Protocol):
    """P variants of an environment, in which a population of agents trains side by side, one agent in each."""

    @property
    def spec(self) -> TaskSpec:
        """The real task, which defines the spaces."""

    @property
    def mean(self) -> Tensor:
        """Mean of the real task's observations, ``(d,)``."""

    @property
    def std(self) -> Tensor:
        """Standard deviation of the real task's observations, ``(d,)``, positive."""

    @property
    def size(self) -> int:
        """P, the number of variants."""

    @property
    def max_episode_steps(self) -> int:
        """Time limit of an episode."""

    @property
    def bandit(self) -> bool:
        """Whether every step terminates, so that no state has a value beyond the reward."""

    @property
    def real_steps(self) -> int:
        """Steps of the real task that all copies have taken so far; 0 if nothing real is stepped."""

    def draw(self, sample: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """Makes a random draw for each variant, ``(P, ...)``.

        Variants that are candidates share one draw, so that their agents meet the same randomness; variants that are
        copies of one environment get a draw each, for an agent of their own.
        """

    def members(self, initial: Callable[[torch.Generator], Tensor], generator: torch.Generator) -> Tensor:
        """Draws the initial parameters of P agents, ``(P, parameters)``, with ``requires_grad`` set; see ``draw``."""

    def copies(self, count: int, generator: torch.Generator, *, stagger: bool = False) -> Copies:
        """Returns copies at the start of their first episodes.

        Args:
            count: E, the number of copies of each variant.
            generator: Seeds the stream that initial states are drawn from.
            stagger: Whether the first episodes are truncated at different times, like those of one long-running copy.
        """

    def env(self, member: int) -> gym.Env[Any, Any]:
        """Returns one variant as a Gymnasium environment: time limit, flat observations, discrete actions from 0."""
