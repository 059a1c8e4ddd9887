"""The record of an episode, and the interface of what draws it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass
class History:
    """The episode so far.

    Attributes:
        states: One per step, the initial one first: (d,), or in a data stream the index of an image.
        actions: One per step: an index, or flat values (m,).
        rewards: One per action.
    """

    states: list[Any]
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


class Picture(Protocol):
    """Draws the latest state of an episode."""

    def draw(self, history: History) -> npt.NDArray[np.uint8] | None:
        """Returns the picture (height, width, 3), or shows it in a window and returns None."""

    def close(self) -> None:
        """Closes the window, if there is one."""
