"""A room whose heater lags behind, on a cold day: hold the temperature that is wanted."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

COOL, OFF, HEAT = range(3)
POWER, LAG = 0.6, 0.3  # degrees a minute at full power; how fast the device follows
LOSS, OUTSIDE = 0.025, -10.0  # how fast the room follows the air outside, which is so many degrees above what is wanted


class Thermostat(gym.Env[np.ndarray, int]):
    """The observation: degrees above what is wanted, and degrees a minute that the device gives; the reward: minus the error."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-20.0, 20.0, (2,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._state = np.zeros(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts with the room up to five degrees off, and the device at rest."""
        super().reset(seed=seed)
        self._state = np.array([self.np_random.uniform(-5, 5), 0.0])
        return self._state.astype(np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Lets a minute pass."""
        error, power = self._state
        power += LAG * (POWER * (action - OFF) - power)
        error += power + LOSS * (OUTSIDE - error)
        self._state = np.clip([error, power], -20.0, 20.0)
        return self._state.astype(np.float32), -abs(float(self._state[0])), False, False, {}
