"""Named streams of random numbers from one root seed, so that a new consumer leaves all others unchanged."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Streams:
    """All random draws of a run, keyed by a name and by indices such as the iteration.

    No state is kept between draws: the numbers of iteration i are the same whether the run reached it in one go or was
    killed and resumed.

    Attributes:
        root: The run's seed.
    """

    root: int

    def numpy(self, name: str, *index: int) -> np.random.Generator:
        """Returns the numpy generator of stream ``name`` at ``index``."""
        return np.random.default_rng(self._sequence(name, index))

    def seed(self, name: str, *index: int) -> int:
        """Returns a seed in ``[0, 2**63)`` for libraries that take an integer."""
        return int(self._sequence(name, index).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def torch(self, name: str, *index: int) -> torch.Generator:
        """Returns the torch generator (CPU) of stream ``name`` at ``index``."""
        return torch.Generator().manual_seed(self.seed(name, *index))

    def _sequence(self, name: str, index: tuple[int, ...]) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.root, spawn_key=(zlib.crc32(name.encode()), *index))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's global CPU generator with ``seed`` for the block, and restores its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
