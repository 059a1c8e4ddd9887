"""The progress of a meta-training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Progress:
    """The progress of a run.

    Attributes:
        iteration: Outer steps done.
        episodes: Episode numbers used up, over all processes that took part, so that none is used twice.
        seconds: Wall-clock seconds taken, including those before the run was resumed.
        best: Best validation score; minus infinity before the first.
        best_iteration: Outer steps done when it was reached.
        validated: Validations done.
        fruitless: Outer steps in a row, up to now, in which every learner diverged.
    """

    iteration: int = 0
    episodes: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    best_iteration: int = 0
    validated: int = 0
    fruitless: int = 0

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Progress:
        """Returns the progress in a saved state.

        Raises:
            KeyError, TypeError: The state is that of something else.
        """
        return cls(**{"episodes": saved["iteration"], **saved})
