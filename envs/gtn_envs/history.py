"""What is remembered of an episode, and what can draw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass
class History:
    """One episode so far.

    Attributes:
        states: Each (d,), or in a data stream the number of an image; the initial one first.
        actions: Each an index, or flat values (m,).
        rewards: One for each action.
    """

    states: list[Any]
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


class Picture(Protocol):
    """Draws the last moment of an episode."""

    def draw(self, history: History) -> npt.NDArray[np.uint8] | None:
        """Returns the picture (height, width, 3), or shows it in a window and returns None."""

    def close(self) -> None:
        """Closes the window, if there is one."""
