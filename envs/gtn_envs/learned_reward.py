"""The reward form: a learned reward or a learned potential on top of the real task."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import error, spaces
from gymnasium.utils import RecordConstructorArgs

from gtn_envs.errors import WeightsError
from gtn_envs.folding import fold
from gtn_envs.numpy_single import NumpySingle
from gtn_envs.shipped import shipped_ids
from gtn_envs.valid_weights import Array, Weights
from gtn_envs.weights_file import load_environment


class LearnedReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Replaces the real reward with a learned one, or adds the difference of a learned potential to it.

    In the mode ``state-action`` the reward is the network's output for the state before the step and the action. In the
    mode ``potential`` it is r + gamma * Phi(s') * (1 - terminated) - Phi(s), which preserves the optimal policies (Ng
    et al., *Policy invariance under reward transformations*, ICML 1999). The real reward is in ``info["real_reward"]``.

    Args:
        env: The real task, e.g. ``gymnasium.make("CartPole-v1")``.
        weights: Path of a ``.safetensors`` file of the reward form or of its run folder, the name of a shipped one, or
            weights in memory (``make_weights``).

    Raises:
        WeightsError: The file is invalid, is not of the reward form, or was made for other spaces.
    """

    def __init__(self, env: gym.Env[Any, Any], weights: str | os.PathLike[str] | Weights) -> None:
        loaded = load_environment(weights)
        RecordConstructorArgs.__init__(self, weights=_remembered(weights, loaded))
        gym.Wrapper.__init__(self, env)
        if loaded.form != "reward":
            raise WeightsError(
                f"{loaded.source} is a whole environment ({loaded.form}), not a reward: use SyntheticEnv"
            )
        for kind, found, expected in (
            ("observation", env.observation_space, loaded.observation_space),
            ("action", env.action_space, loaded.action_space),
        ):
            if found != expected:
                raise WeightsError(f"{loaded.source} needs the {kind} space {expected}, but {env} has {found}")
        self.weights = loaded
        self._model = NumpySingle(fold(loaded))
        self._state: Array | None = None
        self._potential = 0.0
        space = loaded.action_space
        self._start = int(space.start) if isinstance(space, spaces.Discrete) else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Resets the real task."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._state = _flat(observation)
        if self.weights.potential:
            self._potential = self._model.potential(self._state)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes a step of the real task, and returns its results with the learned reward.

        Raises:
            gymnasium.error.ResetNeeded: The environment has not been reset yet.
            gymnasium.error.InvalidAction: The action is not in a Discrete space, or does not have a Box's shape. A
                Box's bounds are left to the real task.
        """
        state, space = self._state, self.weights.action_space
        if state is None:
            raise error.ResetNeeded("Cannot call env.step() before calling env.reset()")
        fits = np.shape(action) == space.shape if isinstance(space, spaces.Box) else space.contains(action)
        if not fits:
            raise error.InvalidAction(f"action {action!r} ({type(action).__name__}) is not in {space}")
        observation, real, terminated, truncated, info = self.env.step(action)
        self._state = _flat(observation)
        info = {**info, "real_reward": float(real)}
        if self.weights.potential:
            before, self._potential = self._potential, self._model.potential(self._state)
            reward = float(real) + self.weights.gamma * self._potential * (not terminated) - before
        else:
            taken = _flat(action) if self._start is None else int(action) - self._start
            reward = self._model.reward(state, taken)
        return observation, reward, terminated, truncated, info


def make_with_learned_reward(
    weights: str | os.PathLike[str], render_mode: str | None = None, **kwargs: Any
) -> LearnedReward:
    """Makes the real task of a reward file and wraps it: the entry point of a registered reward.

    The real task's time limit is left to the registered id, so that ``gymnasium.make(..., max_episode_steps=...)``
    changes it.

    Args:
        weights: Path or shipped name of a file of the reward form.
        render_mode: Render mode of the real task. Not passed on if None, since the task need not accept one.
        **kwargs: Passed to the real task.

    Raises:
        WeightsError: See ``LearnedReward``.
    """
    task = load_environment(weights).task
    if render_mode is not None:
        kwargs["render_mode"] = render_mode
    env = gym.make(task, max_episode_steps=-1, disable_env_checker=True, **kwargs)
    return LearnedReward(env, weights)


def _remembered(weights: str | os.PathLike[str] | Weights, loaded: Weights) -> str | Weights:
    """Returns an argument that remakes the wrapper from any folder: a path is made absolute, a shipped name is kept."""
    if isinstance(weights, Weights):
        return weights
    name = os.fspath(weights)
    return name if name in shipped_ids() else str(loaded.path)


def _flat(array: Any) -> Array:
    return np.array(array, np.float32).ravel()
