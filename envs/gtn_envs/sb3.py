"""The native vector environments as a Stable-Baselines3 ``VecEnv``; the only module of this package that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from gtn_envs.backends import NumpyBackend
from gtn_envs.native_vector_env import NativeVectorEnv

__all__ = ["SB3VecEnv"]

SINGLE = {"observation_space": "single_observation_space", "action_space": "single_action_space"}
"""The spaces of one copy: Stable-Baselines3's names, and those of Gymnasium's vector environments."""


class SB3VecEnv(VecEnv):
    """Steps all copies at once, where SB3's own ``DummyVecEnv`` loops over them.

    The info of a finished copy holds ``terminal_observation`` and ``TimeLimit.truncated``, as in ``DummyVecEnv``; every
    other info is an empty dict of its own. The copies are not separate objects: an attribute belongs to the whole
    environment.

    Args:
        env: A ``SyntheticVectorEnv`` or ``DataStreamVectorEnv``, e.g. from ``gymnasium.make_vec``, with the numpy backend
            and SB3's autoreset mode, ``SameStep``.

    Raises:
        TypeError: It is not a native vector environment of this package.
        ValueError: It has another backend or autoreset mode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        if not isinstance(env, NativeVectorEnv):
            raise TypeError(
                f"expected a SyntheticVectorEnv or DataStreamVectorEnv, e.g. from gymnasium.make_vec, got {env}"
            )
        if env.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"the environment has autoreset_mode {env.autoreset_mode.value!r}, but SB3 needs 'SameStep'"
            )
        if not isinstance(env.backend, NumpyBackend):
            raise ValueError("the environment has the torch backend, but SB3 needs numpy")
        self.env = env
        self._actions: Any = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = env.metadata  # videos play at its render_fps

    def reset(self) -> Any:
        """Starts an episode in every copy, with the seeds set by ``seed`` since the last reset; returns (n, ...)."""
        observations, _ = self.env.reset(seed=self._seeds)
        self.reset_infos = [{} for _ in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Stores the actions for ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], list[dict[str, Any]]]:
        """Takes the step; returns observations (n, ...), float32 rewards (n,), dones (n,), and n infos."""
        observations, rewards, terminated, truncated, info = self.env.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        dones = terminated | truncated
        if info:
            final = info["final_obs"]
            for i in dones.nonzero()[0].tolist():
                infos[i]["terminal_observation"] = final[i]
                infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Returns an attribute of the environment, once per requested copy; the spaces are those of one copy."""
        return [getattr(self.env, SINGLE.get(attr_name, attr_name))] * len(self._copies(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of the environment.

        Raises:
            ValueError: Only some of the copies are requested.
        """
        self._all(attr_name, indices)
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of the environment once; returns its result once per copy.

        Raises:
            ValueError: Only some of the copies are requested.
        """
        self._all(method_name, indices)
        return [getattr(self.env, method_name)(*method_args, **method_kwargs)] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Returns False for each requested copy, since single copies cannot be wrapped."""
        return [False] * len(self._copies(indices))

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """Returns a picture (height, width, 3) of each copy, or None for each without a render mode."""
        return self.env.render() or [None] * self.num_envs

    def _copies(self, indices: VecEnvIndices) -> list[int]:
        copies = range(self.num_envs)
        return [copies[index] for index in self._get_indices(indices)]

    def _all(self, name: str, indices: VecEnvIndices) -> None:
        if len(set(self._copies(indices))) != self.num_envs:
            raise ValueError(
                f"{name!r} belongs to all {self.num_envs} copies together; indices {indices!r} cannot be selected"
            )
