"""Where a meta-training stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        iteration: Outer steps done.
        episodes: Numbers of episodes used up, over all the processes that took part, so that none comes twice.
        seconds: Wall-clock time they took, over all the runs that resumed each other.
        best: Best validation score; minus infinity before the first.
        best_iteration: Outer steps done when it was reached.
        validated: Validations done.
        fruitless: Outer steps in a row, up to now, whose every learner diverged.
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
        """Returns what a saved state says.

        Raises:
            KeyError, TypeError: It is that of something else.
        """
        return cls(**{"episodes": saved["iteration"], **saved})
