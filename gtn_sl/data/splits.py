"""Stratified subsets that are the same on every machine, named after their purpose."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def stratified_indices(labels: NDArray[np.int64], size: int, name: str, seed: int) -> NDArray[np.int64]:
    """Draws a subset in which each class has its share of ``labels``, to within one image.

    Args:
        labels: Labels to draw from, (N,).
        size: Number of indices to draw; 0 < size < N.
        name: Purpose of the subset, e.g. ``"mnist/validation"``; another name draws another subset.
        seed: Seed, at least 0.

    Returns:
        The drawn indices, ascending, (size,).

    Raises:
        ValueError: ``size`` is not between 0 and N, or ``seed`` is negative.
    """
    if not 0 < size < len(labels):
        raise ValueError(f"cannot take {size} of {len(labels)} images: at least one must be taken and one left")
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    # Raw words: numpy keeps the stream of a bit generator fixed across versions, but not that of permutation().
    priority = np.random.PCG64(np.random.SeedSequence([seed, key])).random_raw(len(labels))
    shuffled = np.lexsort((priority, labels))  # class by class, shuffled within each
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    quotas = _largest_remainder(counts, size)
    taken = [shuffled[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.sort(np.concatenate(taken)).astype(np.int64)


def _largest_remainder(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Distributes ``size`` in proportion to ``counts``, in integers throughout; ties go to the lower class."""
    total = counts.sum()
    quotas = size * counts // total
    order = np.argsort(-(size * counts % total), kind="stable")
    quotas[order[: size - quotas.sum()]] += 1
    return quotas
