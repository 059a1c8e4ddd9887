"""A room with a sluggish heater and cooler on a cold day: keep the target temperature."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

COOL, OFF, HEAT = range(3)
POWER, LAG = 0.6, 0.3  # degrees per minute at full power; fraction of a change of power that takes effect each minute
LOSS, OUTSIDE = (
    0.025,
    -10.0,
)  # share of the gap to the outside lost per minute; degrees outside above target


class Thermostat(gym.Env[np.ndarray, int]):
    """Observation: degrees above target, and current power in degrees per minute. Reward: minus the absolute error."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-20.0, 20.0, (2,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._state = np.zeros(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts with the room up to five degrees off target and the device off."""
        super().reset(seed=seed)
        self._state = np.array([self.np_random.uniform(-5, 5), 0.0])
        return self._state.astype(np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Simulates one minute."""
        error, power = self._state
        power += LAG * (POWER * (action - OFF) - power)
        error += power + LOSS * (OUTSIDE - error)
        self._state = np.clip([error, power], -20.0, 20.0)
        return self._state.astype(np.float32), -abs(float(self._state[0])), False, False, {}
