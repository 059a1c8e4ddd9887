"""Named streams of random numbers from one root seed, so that a new consumer moves no other."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Streams:
    """Every random draw of a run, keyed by a name and indices such as the iteration.

    Nothing is stored between draws: the numbers of iteration i are the same whether the run came there in one go or was
    killed and resumed.

    Attributes:
        root: The run's seed.
    """

    root: int

    def numpy(self, name: str, *index: int) -> np.random.Generator:
        """Returns the numpy generator of stream ``name`` at ``index``."""
        return np.random.default_rng(self._sequence(name, index))

    def seed(self, name: str, *index: int) -> int:
        """Returns a seed in ``[0, 2**63)`` for libraries that take a number."""
        return int(self._sequence(name, index).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def torch(self, name: str, *index: int) -> torch.Generator:
        """Returns the torch generator (CPU) of stream ``name`` at ``index``."""
        return torch.Generator().manual_seed(self.seed(name, *index))

    def _sequence(self, name: str, index: tuple[int, ...]) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.root, spawn_key=(zlib.crc32(name.encode()), *index))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes what torch's global CPU generator draws within the block depend on ``seed`` alone, and puts it back after it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
