"""A Gymnasium environment as tasks are seen here: flat float32 observations, discrete actions from 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from gtn_rl.tasks.protocol import spec_of


class FlatEnv(gym.Wrapper):
    """Flattens observations and actions.

    Args:
        env: Environment with Box observations, and Discrete or Box actions.
        stepped: Called before every step.
    """

    def __init__(self, env: gym.Env[Any, Any], stepped: Callable[[], None] = lambda: None) -> None:
        super().__init__(env)
        spec, self._stepped = spec_of(env), stepped
        self.observation_space = spaces.Box(spec.observation_low, spec.observation_high)
        self.action_space = (
            spaces.Discrete(spec.action_size) if spec.discrete else spaces.Box(spec.action_low, spec.action_high)
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See ``gymnasium.Env.reset``."""
        observation, info = self.env.reset(seed=seed, options=options)
        return _flat(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See ``gymnasium.Env.step``."""
        self._stepped()
        inner = self.env.action_space
        if isinstance(inner, spaces.Discrete):
            taken: Any = int(action) + int(inner.start)
        else:
            assert isinstance(inner, spaces.Box)
            taken = np.asarray(action, inner.dtype).reshape(inner.shape)
        observation, reward, terminated, truncated, info = self.env.step(taken)
        return _flat(observation), reward, terminated, truncated, info


def _flat(observation: Any) -> np.ndarray:
    return np.array(observation, np.float32).ravel()
