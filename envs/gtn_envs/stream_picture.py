"""A picture of one step in a data stream: the image to classify, enlarged, and how the one before was classified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gtn_envs.canvas import GREY, Canvas
from gtn_envs.valid_stream import DataStream

if TYPE_CHECKING:
    from gtn_envs.history import History

SIDE, CAPTION = 320, 66
"""Pixels of the enlarged image's longer side, approximately, and of the caption's height."""
FPS = 4  # in a window; slow enough to read
_RIGHT, _WRONG = (20, 120, 60), (190, 40, 40)


class StreamPicture:
    """Draws a data stream with pygame.

    Args:
        stream: The stream; the states of a history are indices of its images.
        render_mode: ``"rgb_array"`` or ``"human"``.

    Raises:
        gymnasium.error.DependencyNotInstalled: pygame is missing.
    """

    def __init__(self, stream: DataStream, render_mode: str) -> None:
        self._stream = stream
        height, width = stream.images.shape[2:4]
        self._zoom = max(1, SIDE // max(height, width))
        self._height, self._width = height * self._zoom, max(width * self._zoom, SIDE)
        title = stream.path.stem if stream.path else stream.task
        self._canvas = Canvas(self._width, self._height + CAPTION, render_mode, title, FPS)

    def draw(self, history: History) -> npt.NDArray[np.uint8] | None:
        """Returns the picture (height, width, 3), or shows it and returns None."""
        canvas, rewards = self._canvas, history.rewards
        canvas.clear()
        canvas.image(self._enlarged(int(history.states[-1])), 0, 0)
        canvas.text(f"image {len(rewards) + 1}: {self._label(int(history.states[-1]))}", 8, self._height + 6)
        if rewards:
            taken, before = history.actions[-1], int(history.states[-2])
            name, colour = self._stream.class_names[taken], _RIGHT if taken == self._class(before) else _WRONG
            canvas.text(f"before: {self._label(before)}; predicted {name}", 8, self._height + 26, colour)
            text = f"reward {rewards[-1]:.2f}, mean {np.mean(rewards):.3f}"
            canvas.text(text, 8, self._height + 46, GREY)
        return canvas.shown()

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._canvas.close()

    def _enlarged(self, image: int) -> npt.NDArray[np.uint8]:
        """Returns an enlarged image (height, width, 3), each pixel a square."""
        pixels = self._stream.images[divmod(image, self._stream.batch_size)]
        large = pixels.repeat(self._zoom, 0).repeat(self._zoom, 1)
        return np.broadcast_to(large, (*large.shape[:2], 3))

    def _class(self, image: int) -> int:
        return int(self._stream.labels[divmod(image, self._stream.batch_size)].argmax())

    def _label(self, image: int) -> str:
        """Returns the name of the label's class, with its probability if that is not 1."""
        number = self._class(image)
        probability = float(self._stream.labels[divmod(image, self._stream.batch_size)][number])
        return self._stream.class_names[number] + ("" if probability == 1 else f" ({probability:.0%})")
