"""Where initial states come from: one random generator for each copy, read in blocks, so that a seed is a trajectory.

A copy draws the same numbers from its generator whether it is a single environment or one of thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gtn_envs.folding import Program
from gtn_envs.valid_weights import Array


class InitialStates:
    """The initial states that n copies have drawn ahead, in one array, so that resetting any of them is one gather.

    Args:
        program: Whose initial states.
        copies: n.
    """

    def __init__(self, program: Program, copies: int) -> None:
        self.size = block_size(program)
        self._program = program
        self._states = np.empty((copies * self.size, program.size), np.float32)
        self._used = np.full(copies, self.size)

    def drop(self, copies: npt.NDArray[np.int64]) -> None:
        """Forgets what is left of some copies' blocks, because their generators have been seeded anew."""
        self._used[copies] = self.size

    def take(self, copies: npt.NDArray[np.int64], generator_of: Callable[[int], np.random.Generator]) -> Array:
        """Returns the next initial state of some copies.

        Args:
            copies: Their numbers (k,), each at most once.
            generator_of: The generator of a copy, asked for only when its block is used up.

        Returns:
            (k, d), not shared with this object.
        """
        used = self._used[copies]
        empty = copies[used == self.size]
        if empty.size:
            blocks = self._states.reshape(-1, self.size, self._program.size)
            blocks[empty] = draw_blocks(self._program, [generator_of(i) for i in empty.tolist()])
            used[used == self.size] = 0
        self._used[copies] = used + 1
        states: Array = self._states.take(copies * self.size + used, 0)
        return states


def block_size(program: Program) -> int:
    """Returns how many initial states a copy draws at once: a part of what a seed means, with which trajectories change."""
    return max(8, 512 // program.size)


def draw_blocks(program: Program, generators: Sequence[np.random.Generator]) -> Array:
    """Draws the next initial states of each copy.

    Args:
        program: Whose initial states.
        generators: One for each of n copies.

    Returns:
        (n, block, d).
    """
    size, d = block_size(program), program.size
    places = np.empty((len(generators), size), np.float32)
    noise = np.empty((len(generators), size * d), np.float32)
    for place, numbers, generator in zip(places, noise, generators, strict=True):
        generator.random(out=place, dtype=np.float32)
        generator.standard_normal(out=numbers, dtype=np.float32)
    components = (places * np.float32(len(program.initial_means))).astype(np.int64)
    return initial_states(program, components, noise.reshape(-1, size, d))


def initial_states(program: Program, components: npt.NDArray[np.int64], noise: Array) -> Array:
    """Returns raw initial states (n, k, d) from component numbers (n, k) and standard normal noise (n, k, d)."""
    n, k, d = noise.shape
    # Rows of k * d numbers: numpy spends several times as long on rows of d.
    low, high, std = (np.tile(row, k) for row in (program.low, program.high, program.initial_std))
    states = noise.reshape(n, -1) * std
    states += program.initial_means.take(components, 0).reshape(n, -1)
    np.maximum(states, low, out=states)
    np.minimum(states, high, out=states)
    return states.reshape(n, k, d)
