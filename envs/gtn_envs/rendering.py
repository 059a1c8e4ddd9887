"""Pictures of an episode: who remembers it, and who draws it."""

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
"""Of a plot; the real task's own pictures have its rate."""


class Renderer:
    """Keeps an episode's history and draws it; what it draws with is made at the first picture, and is not pickled.

    Args:
        make: From the render mode, what draws; it can be pickled.
        render_mode: ``"rgb_array"`` or ``"human"``.

    Raises:
        gymnasium.error.UnsupportedMode: There is no such mode.
    """

    def __init__(self, make: Callable[[str], Picture], render_mode: str) -> None:
        if render_mode not in RENDER_MODES:
            raise error.UnsupportedMode(f"render_mode is {render_mode!r}, expected one of {RENDER_MODES} or None")
        self._make = make
        self._render_mode = render_mode
        self._history = History([])
        self._picture: Picture | None = None

    def start(self, state: Any) -> None:
        """Begins an episode in a state, an array or a number of numpy's."""
        self._history = History([state.copy()])

    def record(self, state: Any, action: Any, reward: float) -> None:
        """Adds a step: the action, as an index or flat values, and the state and the reward that it led to."""
        self._history.states.append(state.copy())
        self._history.actions.append(action)
        self._history.rewards.append(reward)

    def draw(self) -> npt.NDArray[np.uint8] | None:
        """Draws the episode as it stands; a picture (height, width, 3) in the mode ``rgb_array``, else None.

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
    """Says whether an environment has pictures to draw; without a render mode it warns.

    Args:
        render_mode: The environment's.
        begun: Whether it has been reset.

    Raises:
        gymnasium.error.ResetNeeded: There was no reset yet.
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
    """Returns how many pictures of a learned environment are meant to be seen in a second."""
    return real_rate(weights.task) if is_drawable(weights) else RENDER_FPS


def picture_of(weights: Weights, render_mode: str) -> Picture:
    """Returns the real task's own picture of a learned environment where an observation determines it, else a plot."""
    if is_drawable(weights):
        return RealPicture(weights.task, render_mode)
    from gtn_envs.history_plot import HistoryPlot

    return HistoryPlot(weights, render_mode)
