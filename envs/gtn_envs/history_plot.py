"""A plot of an episode's observations, actions and rewards, for tasks that cannot be drawn from an observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gtn_envs.canvas import Canvas
from gtn_envs.rendering import RENDER_FPS
from gtn_envs.valid_weights import Weights

if TYPE_CHECKING:
    from gtn_envs.history import History

WIDTH, HEIGHT = 600, 420
STEPS = 200
"""Number of latest steps shown; all of them in a shorter episode."""
DOTTED = 50
"""Up to this many steps, each is marked by a dot."""
_MARGIN, _TITLE = 44, 22
_COLOURS = (
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (23, 190, 207),
    (127, 127, 127),
    (140, 86, 75),
    (227, 119, 194),
    (188, 189, 34),
    (25, 25, 112),
)
_NUMBERED = len(_COLOURS)
"""Up to this many columns, the number of each is written beside the title in its colour."""
_LETTER = 7
"""Approximate width of a letter in pixels."""


class HistoryPlot:
    """Draws three plots over the last ``STEPS`` steps with pygame.

    Args:
        weights: Weights of the environment.
        render_mode: ``"rgb_array"`` or ``"human"``.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self, weights: Weights, render_mode: str) -> None:
        self._weights = weights
        title = weights.path.stem if weights.path else weights.task
        self._canvas = Canvas(WIDTH, HEIGHT, render_mode, title, RENDER_FPS)

    def draw(self, history: History) -> npt.NDArray[np.uint8] | None:
        """Returns the plot (HEIGHT, WIDTH, 3), or shows it and returns None."""
        self._canvas.clear()
        tensors, space = self._weights.tensors, self._weights.action_space
        width = 1 if isinstance(space, spaces.Discrete) else self._weights.actions
        states = (np.array(history.states[-STEPS - 1 :]) - tensors["observation.mean"]) / tensors["observation.std"]
        actions = np.array(history.actions[-STEPS:], np.float64).reshape(-1, width)
        if isinstance(space, spaces.Discrete):
            actions, limits = actions + int(space.start), (float(space.start), float(space.start + space.n - 1))
        else:
            limits = float(space.low.min()), float(space.high.max())
        rewards = np.array(history.rewards[-STEPS:]).reshape(-1, 1)
        steps = len(history.rewards)
        first = max(0, steps - STEPS)
        shown = min(STEPS, max(steps, self._weights.max_episode_steps or STEPS))  # the id's limit may differ
        self._panel(0, f"observation in standard deviations (step {steps})", states, 0, shown, None)
        self._panel(1, f"action ({space})", actions, 1, shown, limits)
        self._panel(2, f"reward (return {sum(history.rewards):.3f})", rewards, 1, shown, None)
        self._canvas.text(str(first), _MARGIN, HEIGHT - 14)
        self._canvas.text(str(first + shown), WIDTH - 34, HEIGHT - 14)
        return self._canvas.shown()

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._canvas.close()

    def _panel(
        self, row: int, title: str, values: npt.NDArray[Any], first: int, shown: int, limits: tuple[float, float] | None
    ) -> None:
        """Draws the columns of ``values`` (steps, columns) into one of three rows, from step ``first`` of ``shown``."""
        pygame, surface = self._canvas.pygame, self._canvas.surface
        top = row * (HEIGHT - 18) // 3 + _TITLE
        bottom = (row + 1) * (HEIGHT - 18) // 3 - 4
        pygame.draw.rect(surface, (200, 200, 200), (_MARGIN, top, WIDTH - _MARGIN - 10, bottom - top), 1)
        numbers = values.shape[1] if 1 < values.shape[1] <= _NUMBERED else 0
        end = WIDTH - 10 - 3 * _LETTER * numbers
        self._canvas.text(title[: (end - _MARGIN) // _LETTER], _MARGIN, top - 16)
        for i in range(numbers):
            self._canvas.text(str(i), end + 3 * _LETTER * i + _LETTER, top - 16, _COLOURS[i % len(_COLOURS)])
        if not values.size:
            return
        low, high = limits or (float(values.min()), float(values.max()))
        if high - low < 1e-6:
            low, high = low - 0.5, high + 0.5
        self._canvas.text(f"{high:.2g}", 4, top)
        self._canvas.text(f"{low:.2g}", 4, bottom - 12)
        x = _MARGIN + (np.arange(len(values)) + first) * (WIDTH - _MARGIN - 10) / shown
        y = bottom - 2 - (values - low) / (high - low) * (bottom - top - 4)
        for i in range(values.shape[1]):
            points, colour = np.stack([x, y[:, i]], -1).tolist(), _COLOURS[i % len(_COLOURS)]
            for point in points if shown <= DOTTED else points[-1:]:
                pygame.draw.circle(surface, colour, point, 3)
            if len(points) > 1:
                pygame.draw.aalines(surface, colour, False, points)
