"""The meta-loss of a learner on batches of real data, which can be computed in parts if memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from gtn_core.learner import Statistics
from gtn_core.second_order import Batch

MetaLoss = Callable[[Tensor, Statistics, int], Tensor]
"""``(phi, statistics, steps done) -> scalar``: how badly the learner does on the real task."""

Part = Callable[[Tensor, Statistics], Tensor]
"""``(phi, statistics) -> scalar``: the loss on some of the samples."""


@dataclass(frozen=True)
class BatchedLoss:
    """A meta-loss that is a mean over the samples of a batch.

    Attributes:
        loss: ``(phi, statistics, batch) -> mean loss``; a sample's loss depends on no other sample.
        batches: Real batches, by the number of inner steps done.
    """

    loss: Callable[[Tensor, Statistics, Batch], Tensor]
    batches: Mapping[int, Batch]

    @property
    def largest(self) -> int:
        """Number of samples in the largest batch."""
        return max(len(batch[0]) for batch in self.batches.values())

    def __call__(self, phi: Tensor, statistics: Statistics, steps: int) -> Tensor:
        """See ``MetaLoss``."""
        return self.loss(phi, statistics, self.batches[steps])

    def parts(self, steps: int, chunk: int) -> Iterator[tuple[float, Part]]:
        """Yields parts of at most ``chunk`` samples, each with its share of the mean."""
        batch = self.batches[steps]
        for pieces in zip(*(tensor.split(chunk) for tensor in batch), strict=True):

            def part(phi: Tensor, statistics: Statistics, pieces: Batch = pieces) -> Tensor:
                return self.loss(phi, statistics, pieces)

            yield len(pieces[0]) / len(batch[0]), part


def parts_of(meta_loss: MetaLoss, steps: int, chunk: int) -> Iterator[tuple[float, Part]]:
    """Yields the parts of a meta-loss with their shares: the whole of it if it has no parts, or if none are requested.

    Args:
        meta_loss: The meta-loss.
        steps: Number of inner steps done.
        chunk: Maximum number of samples in a part; 0 for all.
    """
    if chunk and isinstance(meta_loss, BatchedLoss):
        yield from meta_loss.parts(steps, chunk)
    else:
        yield 1.0, lambda phi, statistics: meta_loss(phi, statistics, steps)
