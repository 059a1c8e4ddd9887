"""The half cosine of annealed learning rates."""

import pytest

from gtn_core.annealing import half_cosine


def test_half_cosine_falls_from_one_to_zero():
    assert [half_cosine(share) for share in (0, 1 / 3, 1 / 2, 2 / 3, 1)] == pytest.approx([1, 3 / 4, 1 / 2, 1 / 4, 0])
