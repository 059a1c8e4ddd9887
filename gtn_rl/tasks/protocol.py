"""How a real task looks to the rest of gtn_rl: n independent copies behind one protocol, and a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from gtn_core.errors import UsageError
from gtn_envs.box_bounds import float32_within

State = Any
"""The state of n copies, opaque to all but the task that made it."""

Starts = tuple[np.ndarray, ...]
"""Where n episodes start, one row each: initial states, or seeds for them."""


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """What is known of a task before it runs.

    Attributes:
        id: The Gymnasium id, with the module to import if it was given with one.
        observation_size: d, the number of entries of a flattened observation.
        observation_low: Lower bounds (d,), float32, -inf if there is none.
        observation_high: Upper bounds (d,), float32, inf if there is none.
        observation_space: Gymnasium's own space.
        action_space: Gymnasium's own space.
        discrete: Whether an action is an integer in ``[0, m)``; otherwise it is a vector of m entries.
        action_size: m, the number of actions, or the number of entries of a flattened action.
        action_low: Lower bounds (m,), float32; empty for discrete actions.
        action_high: Upper bounds (m,), float32; empty for discrete actions.
        max_episode_steps: The time limit, which ``rollout`` applies, not the task; None if there is none.
    """

    id: str
    observation_size: int
    observation_low: np.ndarray
    observation_high: np.ndarray
    observation_space: spaces.Box
    action_space: spaces.Discrete | spaces.Box
    discrete: bool
    action_size: int
    action_low: np.ndarray
    action_high: np.ndarray
    max_episode_steps: int | None


class Step(NamedTuple):
    """The result of one step of n copies.

    Attributes:
        state: The state after the step.
        reward: (n,), float64.
        terminated: (n,), bool: the task itself ended the episode.
        truncated: (n,), bool: the environment itself cut the episode off; None if it never does.
    """

    state: State
    reward: torch.Tensor
    terminated: torch.Tensor
    truncated: torch.Tensor | None


class BatchedTask(Protocol):
    """n independent copies of a task, stepped together, as tensors on one device.

    A re-implementation is pure: ``step`` leaves its input state as it was. A task that runs Gymnasium environments
    holds one state, the latest, and raises ``RuntimeError`` for an older one. Callers may rely on no more than the
    latter.

    Attributes:
        spec: The task's spec.
        device: Device of its tensors.
    """

    spec: TaskSpec
    device: torch.device

    def reset(self, n: int, generator: np.random.Generator, repeat: int = 1) -> State:
        """Returns the initial state of n copies; copy i starts the same for every n > i and on every device.

        Each initial state is repeated for ``repeat`` consecutive copies, so that they can be compared; n is a multiple
        of it.
        """

    def starts(self, n: int, generator: np.random.Generator) -> Starts:
        """Draws where n episodes start, for ``begin`` and ``restart``."""

    def begin(self, starts: Starts) -> State:
        """Returns the initial state of as many copies as there are starts."""

    def restart(self, state: State, copies: np.ndarray, starts: Starts) -> State:
        """Starts new episodes in the copies at positions ``copies`` (k,) from k starts; the others do not change."""

    def observe(self, state: State) -> torch.Tensor:
        """Returns the observations (n, d), float32, in newly allocated memory."""

    def step(self, state: State, actions: torch.Tensor) -> Step:
        """Takes one step with actions (n,), integers in ``[0, m)``, or (n, m), float32, which are not clipped first.

        The results of a copy whose episode has ended are meaningless.
        """

    def select(self, state: State, keep: torch.Tensor) -> State:
        """Returns the state of the copies at positions ``keep`` (k,), long; the others are dropped."""

    def close(self) -> None:
        """Frees what the task holds; calling it twice is fine."""


def spec_of(env: gym.Env) -> TaskSpec:
    """Returns the spec of a Gymnasium environment.

    Raises:
        UsageError: It was not made by ``gymnasium.make``, its observations are not a Box of floats, or its actions are
            neither Discrete nor a bounded Box of floats.
    """
    if env.spec is None:
        raise UsageError(f"{env} was not made by gymnasium.make, so it has no id")
    name, observation, action = env.spec.id, env.observation_space, env.action_space
    if not isinstance(observation, spaces.Box) or observation.dtype.kind != "f":
        raise UsageError(f"{name} has observations of {observation}; only Box observations of floats are supported")
    if isinstance(action, spaces.Box):
        if action.dtype.kind != "f":
            raise UsageError(f"{name} has actions of {action}; only Discrete and Box actions of floats are supported")
        low, high = float32_within(action)
    else:
        low = high = np.empty(0, np.float32)
    if not isinstance(action, spaces.Discrete | spaces.Box) or not np.isfinite([low, high]).all():
        raise UsageError(f"{name} has actions of {action}; only Discrete and bounded Box actions are supported")
    return TaskSpec(
        id=name,
        observation_size=int(np.prod(observation.shape)),
        observation_low=observation.low.astype(np.float32).ravel(),
        observation_high=observation.high.astype(np.float32).ravel(),
        observation_space=observation,
        action_space=action,
        discrete=isinstance(action, spaces.Discrete),
        action_size=int(action.n) if isinstance(action, spaces.Discrete) else low.size,
        action_low=low,
        action_high=high,
        max_episode_steps=env.spec.max_episode_steps,
    )
