"""Learners: parameter counts of the original code, and the folded pooling against the two operations it stands for."""

import pytest
import torch
from torch.nn import functional as F

from gtn_core.errors import UsageError
from gtn_core.layers import weight_norm
from gtn_core.seeding import Streams
from gtn_sl.learners import LEARNERS, architecture
from gtn_sl.learners.base_fc import AveragePooledConv2d


def parameters(name: str, shape: tuple[int, int, int]) -> int:
    family = architecture(name)
    return sum(p.numel() for p in family.build(shape, 10, family.widths).parameters())


@pytest.mark.parametrize("name", ["base_fc", "base_fc_maxpool"])
@pytest.mark.parametrize(("shape", "count"), [((1, 28, 28), 1_683_668), ((3, 32, 32), 2_176_340)])
def test_base_fc_has_as_many_parameters_as_the_original(name, shape, count):
    assert parameters(name, shape) == count


@pytest.mark.parametrize("side", [4, 8, 12])  # the small ones as one dense matrix product
@pytest.mark.parametrize("channels", [1, 3])
def test_folded_pooling_equals_convolution_and_pooling(channels, side):
    torch.manual_seed(0)
    layer, x = AveragePooledConv2d(channels, 5).double(), torch.randn(2, channels, 8, side).double()
    expected = F.avg_pool2d(F.conv2d(x, weight_norm(layer.v, layer.g), padding=1), 2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_odd_sides_are_refused_where_pooling_needs_even_ones():
    with pytest.raises(UsageError, match="divisible by 4"):
        architecture("base_fc").build((1, 30, 30), 10, (4, 4, 4))


def test_widths_stand_behind_a_colon():
    family = architecture("base_fc:4,8,16")
    module = family.build((1, 8, 8), 3, family.widths)
    assert [len(layer.g) for layer in module if hasattr(layer, "g")] == [4, 8, 16, 3]
    assert family.draw_widths(Streams(0).numpy("w")) == (4, 8, 16)


@pytest.mark.parametrize("name", ["base_fc:4,8", "base_fc:a,b,c", "base_fc:0,1,1", "base_fc:1,2,3,4"])
def test_wrong_widths_are_refused_with_an_example(name):
    with pytest.raises(UsageError, match="takes 3 widths such as base_fc:64,128,256"):
        architecture(name)


def test_unknown_learners_get_a_suggestion():
    with pytest.raises(UsageError, match="unknown learner 'base_fcc'; did you mean 'base_fc'"):
        architecture("base_fcc")


def test_random_widths_stay_in_range():
    for name in LEARNERS:
        family = architecture(name)
        for index in range(20):
            widths = family.draw_widths(Streams(index).numpy("w"))
            assert all(low <= w < high for w, (low, high) in zip(widths, family.random_widths, strict=True))
