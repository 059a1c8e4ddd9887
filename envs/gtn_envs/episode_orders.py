"""The order in which an episode shows the images of a data stream, and the share of the images that it shows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Keys = npt.NDArray[np.float64]

GIVEN = "given"


def _given(batches: Indices, steps: int, generator: np.random.Generator) -> Keys:
    return batches + generator.random(len(batches))


def _shuffled_batches(batches: Indices, steps: int, generator: np.random.Generator) -> Keys:
    return generator.permutation(steps)[batches] + generator.random(len(batches))


def _all_shuffled(batches: Indices, steps: int, generator: np.random.Generator) -> Keys:
    return generator.random(len(batches))


ORDERS: dict[str, Callable[[Indices, int, np.random.Generator], Keys]] = {
    GIVEN: _given,
    "shuffled-batches": _shuffled_batches,
    "all-shuffled": _all_shuffled,
}
"""By name: sort keys of an episode's images from each one's batch index, the number of batches and a generator.

In every order, the images of one batch come in random order: a batch is a set. If its classes were laid out in turn, an
agent with memory would learn that order instead of the images.
"""


class EpisodeOrders:
    """Draws the order of an episode's images.

    A share of a stream is a part of every batch. Each batch is shuffled, once and for all, and its images are dealt out
    in turn like cards, so that the n shares together are the whole stream, and their sizes differ by at most one image.

    Args:
        steps: T, the number of batches.
        batch_size: B, the number of images in a batch.
        order: A key of ``ORDERS``.
        share: (i, n), the i-th of n shares, counted from 0; None for the whole stream.

    Raises:
        ValueError: The order is unknown, or the share is invalid.
    """

    def __init__(self, steps: int, batch_size: int, order: str, share: Sequence[int] | None = None) -> None:
        if order not in ORDERS:
            raise ValueError(f"order is {order!r}, expected one of {', '.join(ORDERS)}")
        index, count = _checked(share, steps * batch_size)
        self._keys, self._steps = ORDERS[order], steps
        self._images = _dealt(steps, batch_size)[index::count]
        self._batches = self._images // batch_size

    def __len__(self) -> int:
        """Number of images in an episode."""
        return len(self._images)

    def draw(self, generator: np.random.Generator) -> Indices:
        """Returns the images of an episode as indices into the whole stream, int64 (length,)."""
        images: Indices = self._images[np.argsort(self._keys(self._batches, self._steps, generator))]
        return images


@functools.lru_cache(maxsize=4)  # many copies share a stream
def _dealt(steps: int, batch_size: int) -> Indices:
    """Returns the indices of all images, batch by batch, each batch shuffled identically in every process."""
    batches = np.arange(steps * batch_size) // batch_size
    dealt: Indices = np.argsort(batches + np.random.default_rng(0).random(len(batches)))
    dealt.flags.writeable = False
    return dealt


def _checked(share: Sequence[int] | None, images: int) -> tuple[int, int]:
    if share is None:
        return 0, 1
    if len(share) != 2 or not 0 <= share[0] < share[1] <= images:
        raise ValueError(f"share is {share!r}, expected (i, n) with 0 <= i < n <= {images}, the number of images")
    return share[0], share[1]
