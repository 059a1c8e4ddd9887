"""Where initial states come from: one random generator for each copy, read in blocks, so that a seed is a trajectory.

A copy draws the same numbers from its generator whether it is a single environment or one of thousands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gtn_envs.folding import Program
from gtn_envs.valid_weights import Array

_LEVELS = 65536  # of a noise's number
_AT_ONCE = 32  # copies that draw together; above 50 or so malloc maps fresh pages for each draw, at twice the cost


class InitialStates:
    """Draws blocks of an environment's initial states.

    Args:
        program: Of the environment.
    """

    def __init__(self, program: Program) -> None:
        self.block = max(8, 512 // program.size)
        """How many states are drawn at once: a part of what a seed means, since another number gives other trajectories."""
        self.size = program.size
        self._means = program.initial_means
        # For all numbers of a block: numpy spends several times as long on many rows as on one.
        self._std, self._low, self._high = (
            np.tile(row, self.block) for row in (program.initial_std, program.low, program.high)
        )

    def draw(self, generators: Sequence[np.random.Generator]) -> Array:
        """Draws the next initial states of n copies from a generator each; returns (n, block, d)."""
        numbers = np.empty((len(generators), self.block * (1 + self.size)), np.float32)
        for row, generator in zip(numbers, generators, strict=True):
            generator.random(out=row, dtype=np.float32)
        return self.states(numbers)

    def states(self, numbers: Array) -> Array:
        """Returns initial states (n, block, d) for numbers in [0, 1), (n, block * (1 + d)), which are overwritten.

        The first ``block`` of a row choose the components, d for each state the noise.
        """
        components, noise = numbers[:, : self.block], numbers[:, self.block :]
        components *= len(self._means)
        noise *= _LEVELS
        states = _normal_quantiles().take(noise.astype(np.intp))
        states *= self._std
        states += self._means.take(components.astype(np.intp), 0).reshape(states.shape)
        np.maximum(states, self._low, out=states)
        np.minimum(states, self._high, out=states)
        return states.reshape(-1, self.block, self.size)


@functools.cache
def _normal_quantiles() -> Array:
    """Returns the standard normal distribution's quantiles at (i + 1/2) / _LEVELS, from -4.3 to 4.3.

    Choosing one of them takes a third of the time of drawing a normal number, and gives the same bits everywhere.
    """
    from statistics import NormalDist  # slow to import

    quantile = NormalDist().inv_cdf
    half = np.array([quantile((i + 0.5) / _LEVELS) for i in range(_LEVELS // 2)], np.float32)
    return np.concatenate([half, -half[::-1]])


class DrawnAhead:
    """The initial states that n copies have drawn ahead, in one array, so that resetting any of them is one gather.

    Args:
        initial: What to draw.
        copies: n.
    """

    def __init__(self, initial: InitialStates, copies: int) -> None:
        self._initial = initial
        self._states = np.empty((copies, initial.block, initial.size), np.float32)
        self._used = np.full(copies, initial.block)

    def drop(self, copies: npt.NDArray[np.int64]) -> None:
        """Forgets what is left of some copies' blocks, because their generators have been seeded anew."""
        self._used[copies] = self._initial.block

    def take(self, copies: npt.NDArray[np.int64], generator_of: Callable[[int], np.random.Generator]) -> Array:
        """Returns the next initial state of some copies.

        Args:
            copies: Their numbers (k,), each at most once.
            generator_of: The generator of a copy, asked for only when its block is used up.

        Returns:
            (k, d), not shared with this object.
        """
        used, block = self._used[copies], self._initial.block
        empty = copies[used == block]
        for start in range(0, empty.size, _AT_ONCE):
            some = empty[start : start + _AT_ONCE]
            self._states[some] = self._initial.draw([generator_of(i) for i in some.tolist()])
        used[used == block] = 0
        self._used[copies] = used + 1
        states: Array = self._states.reshape(-1, self._initial.size).take(copies * block + used, 0)
        return states
