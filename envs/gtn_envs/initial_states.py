"""Where initial states come from: one random generator for each copy, read in blocks, so that a seed is a trajectory.

A copy draws the same numbers from its generator whether it is a single environment or one of thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gtn_envs.numpy_model import NumpyModel
from gtn_envs.valid_weights import Array

BLOCK = 32
"""Initial states that a copy draws at once. Part of what a seed means: another value gives other trajectories."""


def draw_block(model: NumpyModel, generators: Sequence[np.random.Generator]) -> Array:
    """Draws the next initial states of each copy.

    Args:
        model: Whose initial states.
        generators: One for each of n copies.

    Returns:
        (n, BLOCK, d).
    """
    count, size = len(model.program.initial_means), model.program.size
    components = np.empty((len(generators), BLOCK), np.int64)
    noise = np.empty((len(generators), BLOCK, size), np.float32)
    for i, generator in enumerate(generators):
        components[i] = generator.integers(count, size=BLOCK)
        generator.standard_normal(out=noise[i], dtype=np.float32)
    return model.initial(components, noise)


class InitialStates:
    """The blocks of n copies in one array, so that resetting any number of them is one gather."""

    def __init__(self, model: NumpyModel, copies: int) -> None:
        self._model = model
        self._blocks = np.empty((copies, BLOCK, model.program.size), np.float32)
        self._used = np.full(copies, BLOCK)

    def drop(self, copies: npt.NDArray[np.int64]) -> None:
        """Forgets what is left of some copies' blocks, because their generators have been seeded anew."""
        self._used[copies] = BLOCK

    def take(self, copies: npt.NDArray[np.int64], generator_of: Callable[[int], np.random.Generator]) -> Array:
        """Returns the next initial state of some copies.

        Args:
            copies: Their numbers (k,), each at most once.
            generator_of: The generator of a copy, asked for only when its block is used up.

        Returns:
            (k, d), not shared with this object.
        """
        empty = copies[self._used[copies] == BLOCK]
        if empty.size:
            self._blocks[empty] = draw_block(self._model, [generator_of(i) for i in empty.tolist()])
            self._used[empty] = 0
        states: Array = self._blocks[copies, self._used[copies]]
        self._used[copies] += 1
        return states
