"""Many copies of a data stream as one ``gymnasium.vector.VectorEnv``, which divides the stream among them."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from gtn_envs.episode_orders import EpisodeOrders
from gtn_envs.native_vector_env import NativeVectorEnv
from gtn_envs.stream_env import spaces_of
from gtn_envs.stream_file import load_stream
from gtn_envs.stream_picture import FPS, StreamPicture
from gtn_envs.valid_stream import DataStream, rewards_of

if TYPE_CHECKING:
    import torch


class DataStreamVectorEnv(NativeVectorEnv):
    """n copies that together show a stream once; with as many copies as images in a batch, each step shows a batch.

    Copy i seeded with s follows the trajectory of a ``DataStreamEnv`` with the share (i, n) seeded with s; its episode
    is that share. Episode ends are handled as in Gymnasium's ``SyncVectorEnv``, in all three autoreset modes.

    Args:
        stream: Path of a ``.safetensors`` file, the name of a shipped stream, or a stream in memory (``make_stream``).
        num_envs: n.
        soft: See ``DataStreamEnv``.
        order: See ``DataStreamEnv``.
        divide: Whether each copy has a share; otherwise each has the whole stream.
        max_episode_steps: Steps after which an episode is truncated; None or -1 for no limit.
        backend: ``"numpy"``, or ``"torch"`` for tensors on ``device``.
        device: Device of the torch backend; the CPU if None.
        autoreset_mode: One of Gymnasium's ``AutoresetMode``, or its value.
        render_mode: ``"rgb_array"`` or None.

    Raises:
        WeightsError: The file is invalid, or does not hold a stream.
        ValueError: Another argument is invalid, or there are more copies than images to divide.
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    def __init__(
        self,
        stream: str | os.PathLike[str] | DataStream,
        num_envs: int = 1,
        *,
        soft: bool = False,
        order: str | None = None,
        divide: bool = True,
        max_episode_steps: int | None = None,
        backend: str = "numpy",
        device: str | torch.device | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ) -> None:
        loaded = load_stream(stream)
        super().__init__(
            *spaces_of(loaded),
            num_envs,
            horizon=None,
            max_episode_steps=max_episode_steps,
            backend=backend,
            device=device,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
            render_fps=FPS,
            picture=functools.partial(StreamPicture, loaded),
        )
        if divide and num_envs > len(loaded):
            raise ValueError(f"num_envs is {num_envs}, but there are only {len(loaded)} images to divide")
        self.stream = loaded
        shares = [(i, num_envs) for i in range(num_envs)] if divide else [None] * num_envs
        orders = functools.partial(EpisodeOrders, loaded.steps, loaded.batch_size, order or loaded.order)
        self._orders = [orders(share) for share in shares] if divide else [orders()] * num_envs
        lengths = np.array([len(order) for order in self._orders])
        self._images = self._in_a_row()
        self._rewards = self.backend.constant(rewards_of(loaded, soft=soft))
        self._lengths, self._copies = self.backend.constant(lengths), self.backend.constant(np.arange(num_envs))
        # Each copy's images in order, then the last one at least twice: a copy that is only reset steps past the end.
        self._episodes = self.backend.array(np.zeros((num_envs, lengths.max() + 2), np.int64))
        self._states = self.backend.array(np.zeros(num_envs, np.int64))  # number of images each copy has finished

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the images in a row, so that a pickle holds them once, in the stream."""
        return {name: value for name, value in self.__dict__.items() if name != "_images"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores an environment with the images in a row."""
        self.__dict__.update(state)
        self._images = self._in_a_row()

    def _in_a_row(self) -> Any:
        """Returns all images of the stream in a row, (T * B, H, W, C)."""
        images = self.stream.images
        return self.backend.constant(images.reshape(len(self.stream), *images.shape[2:]))

    def _advance(self, states: Any, actions: Any) -> tuple[Any, Any, Any]:
        return states + 1, self._rewards[self._shown(states), actions], states + 1 == self._lengths

    def _initial(self, copies: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        for i in copies.tolist():
            images = self._orders[i].draw(self._generator(i))
            self._episodes[i] = self.backend.array(np.pad(images, (0, self._episodes.shape[1] - len(images)), "edge"))
        return np.zeros(len(copies), np.int64)

    def _observed(self, states: Any) -> Any:
        return self._images[self._shown(states)]

    def _pictured(self, copy: int) -> Any:
        return np.int64(int(self._shown(self._states)[copy]))

    def _shown(self, states: Any) -> Any:
        """Returns the index of the image that each copy shows, (n,); past the end, the last one again."""
        return self._episodes[self._copies, states]
