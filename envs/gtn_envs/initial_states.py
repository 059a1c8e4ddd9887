"""Draws initial states with one random generator per copy, read in blocks, so that a seed determines a trajectory.

A copy draws the same numbers from its generator whether it is a single environment or one of thousands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gtn_envs.folding import Program
from gtn_envs.valid_weights import Array

_LEVELS = 65536  # distinct values of the noise
_AT_ONCE = 32  # copies that draw together; above about 50, malloc maps fresh pages for each draw, at twice the cost


class InitialStates:
    """Draws blocks of an environment's initial states.

    Args:
        program: Program of the environment.
    """

    def __init__(self, program: Program) -> None:
        self.block = max(8, 512 // program.size)
        """Number of states drawn at once. Part of what a seed means: another number gives other trajectories."""
        self.size = program.size
        self._means = program.initial_means
        # Tiled over a block: numpy is several times slower on many short rows than on one long one.
        self._std, self._low, self._high = (
            np.tile(row, self.block) for row in (program.initial_std, program.low, program.high)
        )

    def draw(self, generators: Sequence[np.random.Generator]) -> Array:
        """Draws the next block of initial states of n copies, from one generator each; returns (n, block, d)."""
        numbers = np.empty((len(generators), self.block * (1 + self.size)), np.float32)
        for row, generator in zip(numbers, generators, strict=True):
            generator.random(out=row, dtype=np.float32)
        return self.states(numbers)

    def states(self, numbers: Array) -> Array:
        """Returns initial states (n, block, d) for numbers in [0, 1), (n, block * (1 + d)), which are overwritten.

        The first ``block`` numbers of a row choose the mixture components; the others are the noise, d for each state.
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

    Choosing one of them takes a third of the time of drawing a normal number, and gives the same bits on every machine.
    """
    from statistics import NormalDist  # slow to import

    quantile = NormalDist().inv_cdf
    half = np.array([quantile((i + 0.5) / _LEVELS) for i in range(_LEVELS // 2)], np.float32)
    return np.concatenate([half, -half[::-1]])


class DrawnAhead:
    """Initial states that n copies have drawn in advance, in one array, so that resetting any of them is one gather.

    Args:
        initial: Draws the states.
        copies: n, the number of copies.
    """

    def __init__(self, initial: InitialStates, copies: int) -> None:
        self._initial = initial
        self._states = np.empty((copies, initial.block, initial.size), np.float32)
        self._used = np.full(copies, initial.block)

    def drop(self, copies: npt.NDArray[np.int64]) -> None:
        """Discards the unused states of some copies, because their generators have been reseeded."""
        self._used[copies] = self._initial.block

    def take(self, copies: npt.NDArray[np.int64], generator_of: Callable[[int], np.random.Generator]) -> Array:
        """Returns the next initial state of some copies.

        Args:
            copies: Their indices (k,), each at most once.
            generator_of: Returns the generator of a copy; called only when the copy's block is used up.

        Returns:
            States (k, d), which share no memory with this object.
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
