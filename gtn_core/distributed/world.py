"""The interface of the processes that share a meta-training; an engine implements three private hooks."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from gtn_core.errors import GTNError

BUCKET_BYTES = 25 << 20
"""Largest flat buffer that is reduced at once, as in PyTorch's DDP; the next one is packed while it is in flight."""

Wait = Callable[[], None]
"""Blocks until the operation that was started has ended."""


class LostRankError(GTNError):
    """Another process of the run has gone, so that collective work is no longer possible."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"another process of this run has ended or cannot be reached ({reason})")


class OtherRanksError(LostRankError):
    """The launcher has other processes for the run, so that all must abandon their work to join them."""

    def __init__(self) -> None:
        GTNError.__init__(self, "the launcher has changed the processes of this run")


class World(ABC):
    """The processes that train one teacher together. Every process must call the same methods in the same order.

    Attributes:
        rank: Rank of this process, from 0.
        size: Number of processes.
        local_rank: Rank of this process on its machine, from 0.
        local_size: Number of processes on its machine.
        restarts: How often the work has been restarted after a process died or joined.
        may_restart: Whether it would be.
    """

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1
    restarts = 0
    may_restart = False

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes, in place, in a few flat buckets.

        Raises:
            LostRankError: Another process has gone.
        """
        under_way = []
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            under_way.append((bucket, flat, self._start_sum(flat)))
        for bucket, flat, wait in under_way:
            wait()
            _unpack(flat, bucket)

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Replaces each tensor by process 0's, in place.

        Raises:
            LostRankError: Another process has gone.
        """
        for bucket in buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            self._broadcast(flat.view(torch.uint8))
            _unpack(flat, bucket)

    def gather(self, value: Any) -> list[Any]:
        """Returns the JSON values given by all processes, by rank.

        Raises:
            LostRankError: Another process has gone.
        """
        return [json.loads(text) for text in self._gather(json.dumps(value).encode())]

    def threads(self) -> int:
        """Returns this process's number of threads: torch's if ``OMP_NUM_THREADS`` is set, else its share of torch's."""
        told = torch.get_num_threads()
        return told if "OMP_NUM_THREADS" in os.environ else max(1, told // self.local_size)

    def workers(self) -> int | None:
        """Returns how many workers this process should start: its share of the CPUs, or ``None`` for all of them."""
        return None if self.local_size == 1 else max(1, len(os.sched_getaffinity(0)) // self.local_size)

    def meet_again(self) -> bool:
        """Joins the processes that are left, or new ones, after a ``LostRankError`` has ended the collective work.

        Returns:
            Whether that is possible here; ``rank`` and ``size`` may then have changed.

        Raises:
            LostRankError: The processes did not find each other.
        """
        return False

    def close(self) -> None:  # noqa: B027 (a world may have nothing to leave)
        """Leaves the other processes."""

    @abstractmethod
    def _start_sum(self, flat: Tensor) -> Wait:
        """Starts replacing a flat tensor by its sum over all processes, in place; returns what waits for the result."""

    @abstractmethod
    def _broadcast(self, flat: Tensor) -> None:
        """Replaces bytes, shape ``(n,)``, by those of process 0, in place."""

    @abstractmethod
    def _gather(self, message: bytes) -> list[bytes]:
        """Returns the messages of all processes, by rank."""


class SingleProcess(World):
    """A world of a single process."""

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Does nothing: it is the sum over one process."""

    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Does nothing: there are no other processes."""

    def gather(self, value: Any) -> list[Any]:
        """Returns the only value."""
        return [value]

    def _start_sum(self, flat: Tensor) -> Wait:
        return lambda: None

    def _broadcast(self, flat: Tensor) -> None:
        pass

    def _gather(self, message: bytes) -> list[bytes]:
        return [message]


def buckets(tensors: Iterable[Tensor], limit: int = BUCKET_BYTES) -> Iterator[list[Tensor]]:
    """Yields consecutive tensors for one flat buffer: of one dtype and device, of at most ``limit`` bytes or alone."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in (tensor for tensor in tensors if tensor.numel()):
        alike = not bucket or (tensor.dtype, tensor.device) == (bucket[0].dtype, bucket[0].device)
        if bucket and (not alike or size + tensor.nbytes > limit):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket


@torch.no_grad()
def _unpack(flat: Tensor, bucket: list[Tensor]) -> None:
    for tensor, piece in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
        tensor.copy_(piece.view_as(tensor))
