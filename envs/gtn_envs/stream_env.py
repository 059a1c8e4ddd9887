"""A data stream as an ordinary ``gymnasium.Env``: an observation is an image, an action says its class."""

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
    """Shows the images of a stream one by one; an episode is all of them, and is terminated after the last.

    The action has no influence on what comes next. The observation that ends an episode is the last image once more.

    Args:
        stream: Path of a ``.safetensors`` file, the name of a stream that comes with the package, or a stream in memory
            (``make_stream``).
        render_mode: ``"rgb_array"``, ``"human"`` or None.
        soft: Whether the reward is the probability that the label gives to the action, instead of 1 for the label and 0
            for any other class.
        order: ``"given"``: the batches in the stream's order; ``"shuffled-batches"``; ``"all-shuffled"``: no batches at all; None
            for the one that the stream is made for. What is shuffled is so anew in every episode.
        share: (i, n): only the i-th of n shares of every batch, so that n environments show the stream once together.

    Raises:
        WeightsError: The file is not valid, or holds no stream.
        ValueError: There is no such order or share.
        gymnasium.error.UnsupportedMode: There is no such render mode.
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
        self._images = loaded.images.reshape(len(loaded), *loaded.images.shape[2:])
        self._rewards = rewards_of(loaded, soft=soft)
        self._episode: Indices = np.empty(0, np.int64)
        self._position = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Starts an episode, in an order drawn from this copy's generator.

        Args:
            seed: Seeds the generator.
            options: Ignored.

        Returns:
            The first image (H, W, C), and an empty info.
        """
        super().reset(seed=seed)
        self._episode, self._position = self._orders.draw(self.np_random), 0
        self._begin(self._episode[0])
        return self._images[self._episode[0]].copy(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Rewards an action, and shows the next image.

        Args:
            action: The class of the image that was shown.

        Returns:
            The next image (H, W, C), reward, whether that was the last image, False, and an empty info.

        Raises:
            gymnasium.error.ResetNeeded: There was no reset yet, or the episode is over.
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
        return self._images[image].copy(), reward, terminated, False, {}


def spaces_of(stream: DataStream) -> tuple[spaces.Box, spaces.Discrete]:
    """Returns what is seen, images (H, W, C) of bytes, and what can be done, one action a class."""
    return spaces.Box(0, 255, stream.images.shape[2:], np.uint8), spaces.Discrete(len(stream.class_names))
