"""What evaluates an agent on a real task: whole episodes, or one pass over a data set's test split."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gtn_rl.environments import Environment
from gtn_rl.transfer.real_accuracy import RealImages
from gtn_rl.transfer.real_returns import Act, RealTask


class Evaluator(Protocol):
    """A real task, ready to evaluate agents.

    Attributes:
        measure: What the mean of ``returns`` is, in a word.
        counted: What there is one return of each.
        count: How many of them.
    """

    measure: str
    counted: str
    count: int

    def returns(self, act: Act, seed: int) -> np.ndarray:
        """Returns what an agent earns, (count,) float64; ``seed`` is of every draw."""

    def close(self) -> None:
        """Closes the environments."""


def evaluator_of(env: Environment, episodes: int) -> Evaluator:
    """Returns what evaluates agents on a real task; the caller closes it.

    Args:
        env: The task.
        episodes: How many are played; a data set is passed over once, whatever this says.
    """
    return RealImages(env.id, env.judged) if env.stream else RealTask(env.id, episodes)
