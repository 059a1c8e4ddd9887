"""The processes that train one teacher together, behind one protocol. Only a single process lives here so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from torch import Tensor


class World(Protocol):
    """What meta-training needs of the processes that share it."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def average_(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its mean over all processes, in place."""

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by that of process 0, in place."""


class SingleProcess:
    """A world of one."""

    rank = 0
    size = 1

    def average_(self, tensors: Iterable[Tensor]) -> None:
        """Does nothing: a mean over one."""

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Does nothing: there is nobody else."""
