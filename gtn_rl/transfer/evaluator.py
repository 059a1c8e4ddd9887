"""Evaluation of an agent on a real task: whole episodes, or one pass over a data set's test split."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gtn_rl.environments import Environment
from gtn_rl.transfer.real_accuracy import RealImages
from gtn_rl.transfer.real_returns import Act, RealTask


class Evaluator(Protocol):
    """A real task, ready to evaluate agents.

    Attributes:
        measure: Name of what ``returns`` measures: ``return`` or ``accuracy``.
        counted: What ``returns`` has one value for each of: ``episodes`` or ``images``.
        count: Number of these.
    """

    measure: str
    counted: str
    count: int

    def returns(self, act: Act, seed: int) -> np.ndarray:
        """Returns an agent's returns, (count,) float64; ``seed`` seeds every draw."""

    def close(self) -> None:
        """Closes the environments."""


def evaluator_of(env: Environment, episodes: int) -> Evaluator:
    """Returns the evaluator of a real task; the caller closes it.

    Args:
        env: The task.
        episodes: Number of episodes to play; ignored for a data set, which is passed over once.
    """
    return RealImages(env.id, env.judged) if env.stream else RealTask(env.id, episodes)
