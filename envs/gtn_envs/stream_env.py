"""A data stream as an ordinary ``gymnasium.Env``: an observation is an image, an action names its class."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gtn_envs.discrete_action import action_index
from gtn_envs.episode_orders import EpisodeOrders, Indices
from gtn_envs.pictured_env import PicturedEnv
from gtn_envs.rendering import RENDER_MODES
from gtn_envs.stream_file import load_stream
from gtn_envs.stream_picture import FPS, StreamPicture
from gtn_envs.valid_stream import DataStream, rewards_of

_METADATA: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": FPS}


class DataStreamEnv(PicturedEnv):
    """Shows the images of a stream one by one; an episode is all of them, and terminates after the last.

    The action does not influence what comes next. The last observation of an episode is the last image once more.

    Args:
        stream: Path of a ``.safetensors`` file, the name of a shipped stream, or a stream in memory (``make_stream``).
        render_mode: ``"rgb_array"``, ``"human"`` or None.
        soft: Whether the reward is the label's probability of the chosen class, instead of 1 for the label's likeliest
            class and 0 for any other.
        order: ``"given"``: the batches in the stream's order; ``"shuffled-batches"``: the batches in random order;
            ``"all-shuffled"``: all images in random order; None: the order that the stream was made for. Random orders
            are redrawn in every episode.
        share: (i, n): shows only the i-th of n shares of every batch, counted from 0, so that n environments together
            show the stream once.

    Raises:
        WeightsError: The file is invalid, or does not hold a stream.
        ValueError: The order is unknown, or the share is invalid.
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    metadata = _METADATA

    def __init__(
        self,
        stream: str | os.PathLike[str] | DataStream,
        render_mode: str | None = None,
        *,
        soft: bool = False,
        order: str | None = None,
        share: Sequence[int] | None = None,
    ) -> None:
        self.stream = loaded = load_stream(stream)
        super().__init__(render_mode, functools.partial(StreamPicture, loaded))
        self.observation_space, self.action_space = spaces_of(loaded)
        self._orders = EpisodeOrders(loaded.steps, loaded.batch_size, order or loaded.order, share)
        self._rewards = rewards_of(loaded, soft=soft)
        self._episode: Indices = np.empty(0, np.int64)
        self._position = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Starts an episode, in an order drawn from the environment's random generator.

        Args:
            seed: Seed of the generator; None continues with it as it is.
            options: Ignored.

        Returns:
            The first image (H, W, C), and an empty info.
        """
        super().reset(seed=seed)
        self._episode, self._position = self._orders.draw(self.np_random), 0
        self._begin(self._episode[0])
        return self._image(self._episode[0]), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Rewards the action for the current image, and shows the next one.

        Args:
            action: Class given to the current image.

        Returns:
            The next image (H, W, C), reward, whether the current image was the last, False, and an empty info.

        Raises:
            gymnasium.error.ResetNeeded: The environment has not been reset yet, or the episode is over.
            gymnasium.error.InvalidAction: The action is not in the action space.
        """
        if self._over:
            raise self._reset_needed()
        rewards = self._rewards[self._episode[self._position]]
        taken = action_index(action, 0, len(rewards), self.action_space)
        self._position += 1
        self._over = terminated = self._position == len(self._episode)
        image, reward = self._episode[self._position - terminated], float(rewards[taken])
        if self._renderer is not None:
            self._picture_step(self._renderer, image, taken, reward)
        return self._image(image), reward, terminated, False, {}

    def _image(self, index: np.int64) -> npt.NDArray[np.uint8]:
        """Returns a copy of one image (H, W, C) of the whole stream."""
        image: npt.NDArray[np.uint8] = self.stream.images[divmod(index, self.stream.batch_size)].copy()
        return image


def spaces_of(stream: DataStream) -> tuple[spaces.Box, spaces.Discrete]:
    """Returns the observation space, images (H, W, C) of bytes, and the action space, one action per class."""
    return spaces.Box(0, 255, stream.images.shape[2:], np.uint8), spaces.Discrete(len(stream.class_names))
