"""Normalisation layers against torch's own, in training and in evaluation, and their statistics."""

import pytest
import torch
from torch import nn

from gtn_core.learner import Learner
from gtn_core.norms import BatchNorm, GroupNorm, MeanOnlyBatchNorm

SHAPES = [(7, 6), (5, 6, 3, 4)]


def images(shape):
    return 2 + 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def randomised(layer):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer.double()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("differentiable", [False, True])
def test_batch_norm_equals_torch_with_last_batch_statistics(shape, differentiable):
    ours, x, other = randomised(BatchNorm(6)), images(shape), images(shape).flip(0) ** 2
    torchs = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(6, momentum=1.0).double()
    torchs.load_state_dict({"weight": ours.weight, "bias": ours.bias}, strict=False)
    ours.differentiable_statistics = differentiable
    torch.testing.assert_close(ours(x), torchs(x))
    count = x.numel() / 6
    torch.testing.assert_close(ours.variance, torchs.running_var * (count - 1) / count)  # torch stores the unbiased one
    torchs.running_var *= (count - 1) / count
    torch.testing.assert_close(ours.eval()(other), torchs.eval()(other))


@pytest.mark.parametrize(
    ("shape", "groups", "torchs_groups"), [(SHAPES[0], 6, 1), *((SHAPES[1], g, g) for g in (1, 2, 6))]
)
def test_group_norm_equals_torch(shape, groups, torchs_groups):
    ours, x = randomised(GroupNorm(6, groups)), images(shape)
    torchs = nn.GroupNorm(torchs_groups, 6).double()
    torchs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), torchs(x))


def test_batch_norm_statistics_are_differentiable_by_phi():
    learner = Learner(nn.Sequential(nn.Linear(4, 6), BatchNorm(6)))
    phi = learner.initial().requires_grad_()
    _, statistics = learner.apply(phi, torch.randn(5, 4))
    assert len(statistics) == 2
    for value in statistics:
        assert torch.autograd.grad(value.sum(), phi, retain_graph=True)[0].abs().sum() > 0


@pytest.mark.parametrize("norm", [MeanOnlyBatchNorm(6), BatchNorm(6), GroupNorm(6, 3)])
def test_norms_preserve_input_dtype(norm):
    assert norm(torch.randn(3, 6, 2, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16
