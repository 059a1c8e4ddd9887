"""Streams of images that were made in advance: a teacher's first batches, or a small set in shuffled epochs."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Self

from gtn_core.inner_optim import UnboundOptimizer
from gtn_core.inner_schedule import Schedule
from gtn_core.second_order import Batch
from gtn_core.seeding import Streams
from gtn_sl.data import shuffled_epochs
from gtn_sl.stream import Stream


class Remembered(Stream):
    """The first batches of a teacher that shows every learner the same, made once for all architectures."""

    def __init__(self, teacher: Stream, steps: int) -> None:
        super().__init__()
        self.steps, self.batch_size, self.optimizer = steps, teacher.batch_size, teacher.optimizer
        with torch.no_grad():
            self._schedule = teacher.schedule()
            self._batches = [teacher.batch(step) for step in range(steps)]

    def batch(self, step: int) -> Batch:
        """See ``Teacher.batch``."""
        return self._batches[step]

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        return self._schedule


class SmallSet(Stream):
    """Images ``(M, C, H, W)`` and label probabilities ``(M, classes)`` in epochs, shuffled anew for every learner."""

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        steps: int,
        batch_size: int,
        optimizer: UnboundOptimizer,
        schedule: Schedule,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.steps, self.batch_size, self.optimizer = steps, batch_size, optimizer
        self._images, self._labels, self._schedule = images, labels, schedule
        # a stream of its own: the seed itself draws the learner's initial weights
        random = Streams(seed).torch("stream-batches")
        self._order = shuffled_epochs(len(images), steps * batch_size, random).view(steps, batch_size)

    def for_learner(self, seed: int) -> Self:
        """See ``Teacher.for_learner``."""
        settings = (self.steps, self.batch_size, self.optimizer, self._schedule)
        return type(self)(self._images, self._labels, *settings, seed)

    def batch(self, step: int) -> Batch:
        """See ``Teacher.batch``."""
        return self._images[self._order[step]], self._labels[self._order[step]]

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        lr, momentum = self._schedule()
        return lr, momentum
