"""Stratified subsets: class shares, dependence on name and seed, reproducibility, and invalid sizes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtn_sl.data.splits import stratified_indices


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.data())
def test_class_shares_are_kept_to_within_one(labels: list[int], data: st.DataObject) -> None:
    array = np.array(labels, np.int64)
    size = data.draw(st.integers(1, len(labels) - 1))
    chosen = stratified_indices(array, size, "x", data.draw(st.integers(0, 2**40)))
    assert chosen.dtype == np.int64
    assert len(chosen) == size
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0
    assert chosen[-1] < len(labels)
    share = size * np.bincount(array, minlength=5) / len(labels)
    assert (np.abs(np.bincount(array[chosen], minlength=5) - share) < 1).all()


def test_subset_is_determined_by_name_and_seed() -> None:
    labels = np.arange(1000) % 10
    first = stratified_indices(labels, 100, "mnist/validation", 0)
    np.testing.assert_array_equal(first, stratified_indices(labels, 100, "mnist/validation", 0))
    for name, seed in (("mnist/validation", 1), ("cifar10/validation", 0)):
        other = stratified_indices(labels, 100, name, seed)
        # Two independent draws of a tenth share about ten of a hundred.
        assert len(np.intersect1d(first, other)) < 30


def test_drawn_indices_match_pinned_checksum() -> None:
    chosen = stratified_indices(np.arange(1000) % 7, 100, "pinned", 3)
    assert hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()[:16] == "2bf399aa68a1ea48"


def test_images_are_drawn_equally_often() -> None:
    labels = np.arange(50) % 5
    drawn = np.zeros(50)
    for seed in range(400):
        drawn[stratified_indices(labels, 10, "x", seed)] += 1
    # Each image: 400 draws with chance 1/5, mean 80, standard deviation 8.
    assert drawn.sum() == 4000
    assert drawn.min() > 80 - 5 * 8
    assert drawn.max() < 80 + 5 * 8


@pytest.mark.parametrize("size", [0, 10, 11, -1])
def test_size_that_leaves_either_side_empty_is_rejected(size: int) -> None:
    with pytest.raises(ValueError, match=f"cannot take {size} of 10 images"):
        stratified_indices(np.arange(10), size, "x", 0)
