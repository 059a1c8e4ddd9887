"""The batch sampler: epochs without replacement, shuffling, seeds and generators, and invalid sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtn_sl.data.sampling import sample_batches
from gtn_sl.data.task import Split


def numbered(size: int) -> Split:
    """Returns a split whose image i is filled with i and has the label i."""
    number = torch.arange(size)
    return Split(number.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 3, 4).contiguous(), number)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 50), st.integers(0, 2**31))
def test_no_image_repeats_within_epoch(size: int, steps: int, batch_size: int, seed: int) -> None:
    images, labels = sample_batches(numbered(size), steps, batch_size, seed)
    assert images.shape == (steps, batch_size, 2, 3, 4)
    assert images.dtype == torch.uint8
    assert labels.shape == (steps, batch_size)
    assert labels.dtype == torch.int64
    assert (images == labels[:, :, None, None, None]).all()
    drawn = labels.flatten().tolist()
    for start in range(0, len(drawn), size):
        epoch = drawn[start : start + size]
        assert len(set(epoch)) == len(epoch)
    assert set(drawn) <= set(range(size))


def test_each_epoch_is_reshuffled() -> None:
    _, labels = sample_batches(numbered(100), 2, 100, 0)
    assert labels[0].tolist() != list(range(100))
    assert labels[0].tolist() != labels[1].tolist()


def test_seed_repeats_batches_and_generator_continues() -> None:
    split = numbered(100)
    _, first = sample_batches(split, 2, 10, 7)
    _, again = sample_batches(split, 2, 10, 7)
    assert torch.equal(first, again)
    assert not torch.equal(first, sample_batches(split, 2, 10, 8)[1])
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(sample_batches(split, 2, 10, generator)[1], first)
    assert not torch.equal(sample_batches(split, 2, 10, generator)[1], first)


def test_sampling_does_not_touch_global_generator() -> None:
    before = torch.get_rng_state()
    sample_batches(numbered(10), 2, 3, 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("size", "steps", "batch_size"), [(0, 1, 1), (5, 0, 1), (5, 1, 0)])
def test_empty_split_or_batches_are_rejected(size: int, steps: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"cannot draw {steps} batches of {batch_size} from {size} images"):
        sample_batches(numbered(size), steps, batch_size, 0)
