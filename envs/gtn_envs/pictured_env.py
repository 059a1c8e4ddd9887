"""Base class of the single environments: rendering, and the error of a step after an episode's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium import error

from gtn_envs.history import Picture
from gtn_envs.rendering import Renderer, can_render


class PicturedEnv(gym.Env[Any, Any]):
    """Renders its episodes in both render modes. A subclass reports each state, and when an episode is over.

    Args:
        render_mode: ``"rgb_array"``, ``"human"`` or None.
        picture: Takes the render mode and returns what draws; it must be picklable.

    Raises:
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    def __init__(self, render_mode: str | None, picture: Callable[[str], Picture]) -> None:
        self.render_mode = render_mode
        self._renderer = None if render_mode is None else Renderer(picture, render_mode)
        self._begun, self._over = False, True

    def render(self) -> Any:
        """Returns a picture (height, width, 3) of uint8 in the mode ``rgb_array``; shows it in the mode ``human``.

        Raises:
            gymnasium.error.ResetNeeded: The environment has not been reset yet.
            gymnasium.error.DependencyNotInstalled: pygame is missing.
        """
        if not can_render(self.render_mode, begun=self._begun):
            return None
        assert self._renderer is not None
        return self._renderer.draw()

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._renderer is not None:
            self._renderer.close()

    def _begin(self, state: Any) -> None:
        """Begins an episode in a state."""
        self._begun, self._over = True, False
        if self._renderer is not None:
            self._renderer.start(state)
            self._show(self._renderer)

    def _picture_step(self, renderer: Renderer, state: Any, action: Any, reward: float) -> None:
        """Records a step for the pictures; see ``Renderer.record``."""
        renderer.record(state, action, reward)
        self._show(renderer)

    def _show(self, renderer: Renderer) -> None:
        if self.render_mode == "human":
            renderer.draw()

    def _reset_needed(self) -> error.ResetNeeded:
        return error.ResetNeeded("Cannot call env.step() before calling env.reset(), or after an episode's end")
