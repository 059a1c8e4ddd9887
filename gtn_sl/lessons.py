"""Which sample of a teacher's table goes where in one learner's lesson: places, orders, and what a seed decides."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_core.device import send
from gtn_core.errors import UsageError
from gtn_core.registry import Registry
from gtn_core.seeding import Streams


@dataclass(frozen=True)
class Places:
    """The T x B places of a lesson, and the table of M samples that they are filled from.

    Attributes:
        steps: Number of inner steps, T.
        batch_size: Images per batch, B.
        few: M, if samples are reused (dataset distillation); ``None`` for one sample per place, M = T x B.

    Raises:
        UsageError: ``few`` is less than a batch, or more than the number of places.
    """

    steps: int
    batch_size: int
    few: int | None = None

    def __post_init__(self) -> None:
        most = self.steps * self.batch_size
        if self.few is not None and not self.batch_size <= self.few <= most:
            raise UsageError(
                f"teacher.samples={self.few} does not fit batches of inner.batch_size={self.batch_size}: expected"
                f" {self.batch_size} (each batch is the whole set) to inner.steps x inner.batch_size = {most}"
            )

    @property
    def samples(self) -> int:
        """Rows of the table, M."""
        return self.steps * self.batch_size if self.few is None else self.few

    @property
    def table(self) -> tuple[int, ...]:
        """Leading shape of per-sample tensors: ``(T, B)``, or ``(M,)`` if samples are reused."""
        return (self.steps, self.batch_size) if self.few is None else (self.few,)


Order = Callable[[Tensor, torch.Generator], Tensor]
"""``(samples in the table's order (T, B), randomness) -> samples in the order that the learner gets them (T, B)``."""

ORDERS: Registry[Order] = Registry("order")


@ORDERS.register("given")
def given(samples: Tensor, random: torch.Generator) -> Tensor:
    """Returns the table's own order; if samples are reused, they come round again."""
    return samples


@ORDERS.register("reversed")
def backwards(samples: Tensor, random: torch.Generator) -> Tensor:
    """Returns the batches in reverse order."""
    return samples.flip(0)


@ORDERS.register("shuffled-batches")
def shuffled_batches(samples: Tensor, random: torch.Generator) -> Tensor:
    """Returns the same batches, in a different order for every learner."""
    return samples[torch.randperm(len(samples), generator=random)]


@ORDERS.register("all-shuffled")
def all_shuffled(samples: Tensor, random: torch.Generator) -> Tensor:
    """Returns different batches for every learner, with samples drawn without replacement."""
    return samples.flatten()[torch.randperm(samples.numel(), generator=random)].view_as(samples)


@dataclass(frozen=True)
class Lesson:
    """The random choices for one learner.

    Attributes:
        seed: Determines all of them.
        samples: Row of the table at each place, int64, shape ``(T, B)``.
        starts: First row of each batch, if all batches are consecutive rows; ``None`` otherwise.
    """

    seed: int
    samples: Tensor
    starts: list[int] | None

    def rows(self, table: Tensor, step: int) -> Tensor:
        """Returns the rows of a table for the samples of one inner step.

        Args:
            table: One row per sample, shape ``(M, ...)``.
            step: Inner step.

        Returns:
            Shape ``(B, ...)``; a slice if possible, since its backward pass is cheaper than that of a gather.

        Raises:
            IndexError: The lesson has no such step.
        """
        self._refuse_other(step)
        if self.starts is None:
            return table[self.samples[step]]
        return table[self.starts[step] : self.starts[step] + self.samples.shape[1]]

    def random(self, what: str, step: int) -> torch.Generator:
        """Returns the CPU generator of one inner step's draws, in the same state at every call."""
        self._refuse_other(step)
        return Streams(self.seed).torch(what, step)

    def _refuse_other(self, step: int) -> None:
        if not 0 <= step < len(self.samples):
            raise IndexError(f"step must be from 0 to {len(self.samples) - 1}, not {step}")


def draw_lesson(places: Places, order: Order, seed: int, steps: int, device: torch.device) -> Lesson:
    """Returns the lesson of a seed, with any number of steps: its first ones, or after T more passes over the table."""
    passes = math.ceil(steps / places.steps)
    table = torch.arange(passes * places.steps * places.batch_size) % places.samples
    random = Streams(seed).torch("order")
    ordered = [order(part, random) for part in table.view(passes, places.steps, places.batch_size)]
    samples = torch.cat(ordered)[:steps]
    follow = bool((samples.diff(dim=1) == 1).all())
    return Lesson(seed, send(samples, device), samples[:, 0].tolist() if follow else None)
