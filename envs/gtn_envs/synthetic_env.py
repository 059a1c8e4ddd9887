"""A learned environment as an ordinary ``gymnasium.Env``."""

from __future__ import annotations

import copy
import functools
import os
from typing import Any

import numpy as np
from gymnasium import error, spaces

from gtn_envs.box_action import accepted_bounds
from gtn_envs.discrete_action import action_index
from gtn_envs.folding import fold
from gtn_envs.initial_states import InitialStates
from gtn_envs.numpy_single import NumpySingle
from gtn_envs.pictured_env import PicturedEnv
from gtn_envs.rendering import RENDER_FPS, RENDER_MODES, picture_of, rate_of
from gtn_envs.valid_weights import Array, Weights
from gtn_envs.weights_file import load_playable

_METADATA: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}


class SyntheticEnv(PicturedEnv):
    """A single learned environment of the form ``mdp`` or ``bandit``.

    If the file says ``limit_terminates``, the environment itself terminates an episode after the file's
    ``max_episode_steps``, as it does a bandit's after its only step. Otherwise it has no limit of its own:
    ``gymnasium.make`` adds that number as a time limit.

    Args:
        weights: Path of a ``.safetensors`` file or of a run folder, the name of a shipped environment, or an
            environment in memory (``make_weights``).
        render_mode: ``"rgb_array"``, ``"human"`` or None.

    Raises:
        WeightsError: The file is invalid, or holds a reward for the real task (see ``LearnedReward``).
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    metadata = _METADATA

    def __init__(self, weights: str | os.PathLike[str] | Weights, render_mode: str | None = None) -> None:
        self.weights = loaded = load_playable(weights)
        super().__init__(render_mode, functools.partial(picture_of, loaded))
        if render_mode is not None:
            self.metadata = {**_METADATA, "render_fps": rate_of(loaded)}
        # The file's spaces are shared by all who read it; seeding one of these must not affect another environment.
        self.observation_space = copy.deepcopy(loaded.observation_space)
        self.action_space = copy.deepcopy(loaded.action_space)
        program = fold(loaded)
        self._model = NumpySingle(program)
        self._initial = InitialStates(program)
        self._state: Array = np.zeros(program.size, np.float32)
        self._horizon = loaded.horizon
        self._elapsed = 0
        self._block: Array = np.empty((0, program.size), np.float32)
        self._used = 0
        self._drawn_by: np.random.Generator | None = None  # the generator that drew the block
        self._shape, self._dtype = loaded.observation_space.shape, loaded.observation_space.dtype
        self._plain = len(self._shape) == 1 and self._dtype == np.float32
        space = loaded.action_space
        self._discrete = isinstance(space, spaces.Discrete)
        if isinstance(space, spaces.Discrete):
            self._start, self._count = int(space.start), int(space.n)
        else:
            low, high = accepted_bounds(space)
            self._bounds = list(zip(low.ravel().tolist(), high.ravel().tolist(), strict=True))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in the next initial state of the environment's random generator.

        Args:
            seed: Seeds the generator and discards the initial states drawn in advance.
            options: Ignored.

        Returns:
            The observation, and an empty info.
        """
        super().reset(seed=seed)
        if self._used == len(self._block) or self._drawn_by is not self.np_random:
            self._block, self._drawn_by = self._initial.draw([self.np_random])[0], self.np_random
            self._used = 0
        self._state = self._block[self._used]
        self._used += 1
        self._elapsed = 0
        self._begin(self._state)
        return self._observation(self._state), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one step.

        Args:
            action: An element of the action space.

        Returns:
            Observation, reward, terminated, False, and an empty info.

        Raises:
            gymnasium.error.ResetNeeded: The environment has not been reset yet, or the episode is over.
            gymnasium.error.InvalidAction: The action is not in the action space.
        """
        if self._over:
            raise self._reset_needed()
        if self._discrete:
            taken: Any = action_index(action, self._start, self._count, self.action_space)
        else:
            taken = self._flat(action)
        self._state, reward, terminated = self._model.step(self._state, taken)
        if self._horizon is not None:
            self._elapsed += 1
            terminated = terminated or self._elapsed >= self._horizon
        self._over = terminated
        if self._renderer is not None:
            self._picture_step(self._renderer, self._state, taken if self._discrete else taken.copy(), reward)
        # The state itself is never returned, so that no caller can modify it.
        observation = self._state.copy() if self._plain else self._observation(self._state)
        return observation, reward, terminated, False, {}

    def _observation(self, state: Array) -> Any:
        return state.astype(self._dtype).reshape(self._shape)

    def _flat(self, action: Any) -> Array:
        try:
            array = np.asarray(action, self.action_space.dtype)
        except (TypeError, ValueError):
            raise error.InvalidAction(f"action {action!r} is not in {self.action_space}") from None
        flat = array.ravel()
        if array.shape != self.action_space.shape or not all(
            low <= value <= high for value, (low, high) in zip(flat.tolist(), self._bounds, strict=True)
        ):
            raise error.InvalidAction(f"action {action!r} is not in {self.action_space}")
        return flat.astype(np.float32, copy=False)
