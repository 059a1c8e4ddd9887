"""Thousands of copies of a learned environment as one ``gymnasium.vector.VectorEnv``, without a loop over them."""

from __future__ import annotations

import copy
import functools
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from gtn_envs.backends import TorchBackend
from gtn_envs.folding import fold
from gtn_envs.initial_states import DrawnAhead, InitialStates
from gtn_envs.native_vector_env import NativeVectorEnv
from gtn_envs.numpy_batch import NumpyBatch
from gtn_envs.rendering import RENDER_FPS, picture_of, rate_of
from gtn_envs.torch_model import TorchModel
from gtn_envs.valid_weights import Weights
from gtn_envs.weights_file import load_playable

if TYPE_CHECKING:
    import torch


class SyntheticVectorEnv(NativeVectorEnv):
    """n copies of a learned environment of the form ``mdp`` or ``bandit``, stepped together.

    Copy i seeded with s follows the trajectory of a ``SyntheticEnv`` seeded with s. Episode ends are handled as in
    Gymnasium's ``SyncVectorEnv``, in all three autoreset modes.

    Args:
        weights: Path of a ``.safetensors`` file or of a run folder, the name of a shipped environment, or an
            environment in memory (``make_weights``).
        num_envs: n.
        max_episode_steps: Steps after which an episode is truncated; None for the file's number, -1 for no limit.
            Episodes of a bandit, and of a file with ``limit_terminates``, always terminate after the file's number.
        backend: ``"numpy"``, or ``"torch"`` for tensors on ``device``: observations of the space's dtype, float32
            rewards, and in the mode ``SameStep`` a ``final_obs`` that is one tensor (n, ...), valid where
            ``_final_obs`` is True.
        device: Device of the torch backend; the CPU if None.
        autoreset_mode: One of Gymnasium's ``AutoresetMode``, or its value.
        render_mode: ``"rgb_array"`` or None.

    Raises:
        WeightsError: The file is invalid, or holds a reward for the real task.
        ValueError: Another argument is invalid.
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | Weights,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        backend: str = "numpy",
        device: str | torch.device | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ) -> None:
        loaded = load_playable(weights)
        default = None if loaded.horizon else loaded.max_episode_steps
        super().__init__(
            copy.deepcopy(loaded.observation_space),  # the file's spaces are shared by all who read it
            copy.deepcopy(loaded.action_space),
            num_envs,
            horizon=loaded.horizon,
            max_episode_steps=default if max_episode_steps is None else max_episode_steps,
            backend=backend,
            device=device,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
            render_fps=rate_of(loaded) if render_mode else RENDER_FPS,
            picture=functools.partial(picture_of, loaded),
        )
        self.weights = loaded
        program = fold(loaded)
        self._model: NumpyBatch | TorchModel
        if isinstance(self.backend, TorchBackend):
            self._model = TorchModel(program, self.backend.device)
        else:
            self._model = NumpyBatch(program, num_envs)
        self._drawn = DrawnAhead(InitialStates(program), num_envs)
        self._states = self.backend.array(np.zeros((num_envs, program.size), np.float32, order="F"))

    def _advance(self, states: Any, actions: Any) -> tuple[Any, Any, Any]:
        return self._model.step(states, actions)

    def _initial(self, copies: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return self._drawn.take(copies, self._generator)

    def _seeded(self, copies: npt.NDArray[np.int64]) -> None:
        self._drawn.drop(copies)

    def _observed(self, states: Any) -> Any:
        space = self.single_observation_space
        return self.backend.observations(states, space.shape or (), space.dtype)

    def _pictured(self, copy: int) -> Any:
        return np.array(self._states[copy].tolist(), np.float32)
