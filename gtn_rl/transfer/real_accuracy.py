"""The accuracy of an agent on a real data set: one pass over its test split, every image once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np

from gtn_envs import DataStreamEnv
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.transfer.real_returns import Act

COPIES = 256  # images shown at once


class RealImages:
    """A data stream, ready to evaluate agents.

    Args:
        id: Its Gymnasium id.
        arguments: Keyword arguments of the environment, such as the split.
    """

    measure, counted = "accuracy", "images"

    def __init__(self, id: str, arguments: Mapping[str, Any]) -> None:
        with closing(gym.make(id, disable_env_checker=True, **arguments)) as single:
            assert isinstance(single.unwrapped, DataStreamEnv)
            self.count = len(single.unwrapped.stream)
        self._envs = gym.make_vec(id, num_envs=min(COPIES, self.count), **arguments)

    def returns(self, act: Act, seed: int) -> np.ndarray:
        """Shows every image once, in random order.

        Args:
            act: The agent; called with all copies, including those that have seen their share.
            seed: Seed of the order and of every draw that the agent makes; the caller's random states do not change.

        Returns:
            1 for an image that is classified correctly and 0 for any other, (images,) float64.
        """
        rewards, running = [], np.ones(self._envs.num_envs, dtype=bool)
        with own_randomness(seed):
            observations, _ = self._envs.reset(seed=seed % 2**31)
            while running.any():
                observations, reward, terminated, _, _ = self._envs.step(act(observations))
                rewards.append(reward[running])
                running &= ~terminated
        return np.concatenate(rewards)

    def close(self) -> None:
        """Closes the environments."""
        self._envs.close()
