"""The canvas of pictures: a pygame surface and, in the mode ``human``, a window that shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import error

WHITE, GREY = (255, 255, 255), (60, 60, 60)


class Canvas:
    """A pygame surface to draw on.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        render_mode: ``"rgb_array"`` or ``"human"``.
        title: Title of the window.
        fps: Maximum number of frames that the window shows per second.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self, width: int, height: int, render_mode: str, title: str, fps: int) -> None:
        try:
            import pygame
        except ImportError as reason:
            raise error.DependencyNotInstalled(
                'pygame is not installed, run `pip install "gymnasium[classic-control]"`'
            ) from reason
        self.pygame: Any = pygame
        self._window: Any = None
        if render_mode == "human":
            pygame.display.init()
            self._window = pygame.display.set_mode((width, height))
            pygame.display.set_caption(title)
            self._clock, self._fps = pygame.time.Clock(), fps
        self.surface = pygame.Surface((width, height))

    def clear(self) -> None:
        """Fills the surface with white; to be called before anything is drawn."""
        self.pygame.font.init()
        # Loaded for every picture: closing any of Gymnasium's classic-control tasks quits pygame and its fonts.
        self._font = self.pygame.font.Font(None, 19)
        self.surface.fill(WHITE)

    def text(self, text: str, x: int, y: int, colour: tuple[int, int, int] = GREY) -> None:
        """Draws one line of text, its upper left corner at (x, y)."""
        self.surface.blit(self._font.render(text, True, colour), (x, y))

    def image(self, pixels: npt.NDArray[np.uint8], x: int, y: int) -> None:
        """Draws pixels (height, width, 3), their upper left corner at (x, y)."""
        self.surface.blit(self.pygame.surfarray.make_surface(pixels.swapaxes(0, 1)), (x, y))

    def shown(self) -> npt.NDArray[np.uint8] | None:
        """Returns the picture (height, width, 3), or shows it in the window and returns None."""
        if self._window is None:
            pixels = self.pygame.surfarray.array3d(self.surface)
            return np.ascontiguousarray(np.transpose(pixels, (1, 0, 2)))
        self._window.blit(self.surface, (0, 0))
        self.pygame.event.pump()
        self.pygame.display.flip()
        self._clock.tick(self._fps)
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self.pygame.display.quit()
            self._window = None
