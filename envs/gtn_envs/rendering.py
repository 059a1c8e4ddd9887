"""Rendering of an episode: what records it, and what draws it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import error

from gtn_envs.history import History, Picture
from gtn_envs.real_picture import RealPicture, is_drawable, real_rate
from gtn_envs.valid_weights import Weights

RENDER_MODES = ("human", "rgb_array")
RENDER_FPS = 30
"""Frame rate of plots; the real task's own pictures have its rate."""


class Renderer:
    """Records an episode and draws it; what draws is made for the first picture, and is not pickled.

    Args:
        make: Takes the render mode and returns what draws; it must be picklable.
        render_mode: ``"rgb_array"`` or ``"human"``.

    Raises:
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    def __init__(self, make: Callable[[str], Picture], render_mode: str) -> None:
        if render_mode not in RENDER_MODES:
            raise error.UnsupportedMode(f"render_mode is {render_mode!r}, expected one of {RENDER_MODES} or None")
        self._make = make
        self._render_mode = render_mode
        self._history = History([])
        self._picture: Picture | None = None

    def start(self, state: Any) -> None:
        """Starts an episode in a state, an array or a numpy scalar."""
        self._history = History([state.copy()])

    def record(self, state: Any, action: Any, reward: float) -> None:
        """Records a step: the action, as an index or flat values, and the state and reward that it led to."""
        self._history.states.append(state.copy())
        self._history.actions.append(action)
        self._history.rewards.append(reward)

    def draw(self) -> npt.NDArray[np.uint8] | None:
        """Draws the episode so far; returns a picture (height, width, 3) in the mode ``rgb_array``, else None.

        Raises:
            gymnasium.error.DependencyNotInstalled: pygame is missing.
        """
        if self._picture is None:
            self._picture = self._make(self._render_mode)
        return self._picture.draw(self._history)

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._picture is not None:
            self._picture.close()
            self._picture = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_picture": None}


def can_render(render_mode: str | None, *, begun: bool) -> bool:
    """Returns whether an environment has a picture to draw; warns if it has no render mode.

    Args:
        render_mode: The environment's render mode.
        begun: Whether it has been reset.

    Raises:
        gymnasium.error.ResetNeeded: The environment has a render mode, but has not been reset yet.
    """
    if render_mode is None:
        gym.logger.warn(
            "render() does nothing without a render mode: make the environment with render_mode='rgb_array'"
        )
        return False
    if not begun:
        raise error.ResetNeeded("Cannot call env.render() before calling env.reset()")
    return True


def rate_of(weights: Weights) -> int:
    """Returns the frame rate at which pictures of a learned environment should be shown."""
    return real_rate(weights.task) if is_drawable(weights) else RENDER_FPS


def picture_of(weights: Weights, render_mode: str) -> Picture:
    """Returns what draws a learned environment: the real task if an observation determines its picture, else a plot."""
    if is_drawable(weights):
        return RealPicture(weights.task, render_mode)
    from gtn_envs.history_plot import HistoryPlot

    return HistoryPlot(weights, render_mode)
