"""Convolution layers against torch's own: outputs and gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gtn_core.layers import Conv2d, WeightNormConv2d, weight_norm

CASES = [
    pytest.param(kernel, stride, groups, id=f"{kernel} stride {stride} groups {groups}")
    for kernel in (1, (1, 3), 3)
    for stride in (1, 2, (1, 2), (3, 1))
    for groups in (1, 2)
]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize(("kernel", "stride", "groups"), CASES)
def test_convolutions_and_their_gradients_equal_torch(kernel, stride, groups, layout):
    torch.manual_seed(0)
    weight_normed = WeightNormConv2d(4, 6, kernel, stride=stride, groups=groups, bias=True).double()
    plain = Conv2d(4, 6, kernel, stride, weight_normed.padding, groups=groups).double()
    images = torch.randn(3, 4, 7, 8, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    for layer, weight in ((weight_normed, weight_norm(weight_normed.v, weight_normed.g)), (plain, plain.weight)):
        expected = F.conv2d(images, weight, layer.bias, stride, layer.padding, groups=groups)
        of = (images, *layer.parameters())
        towards = torch.randn_like(expected)
        torch.testing.assert_close(layer(images), expected)
        torch.testing.assert_close(
            torch.autograd.grad(layer(images), of, towards), torch.autograd.grad(expected, of, towards)
        )


def test_padded_strided_1x1_convolution_equals_torch():
    layer, reference = Conv2d(2, 3, 1, 2, padding=1), nn.Conv2d(2, 3, 1, 2, padding=1)
    reference.load_state_dict(layer.state_dict())
    images = torch.randn(1, 2, 5, 5)
    torch.testing.assert_close(layer(images), reference(images))


@pytest.mark.parametrize("options", [{"dilation": 2}, {"padding_mode": "reflect"}])
def test_convolution_rejects_what_it_does_not_compute(options):
    with pytest.raises(ValueError, match=r"use torch\.nn\.Conv2d"):
        Conv2d(1, 1, 3, **options)
