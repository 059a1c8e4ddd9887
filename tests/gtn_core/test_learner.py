"""Learners as pure functions: equality with their modules, batch statistics, rejected modules, layers and widths."""

import pytest
import torch
from torch import nn

from gtn_core.errors import UsageError
from gtn_core.layers import WeightNormConv2d, WeightNormLinear, sample_widths, weight_norm
from gtn_core.learner import Learner, fresh_learner
from gtn_core.norms import MeanOnlyBatchNorm
from gtn_core.seeding import Streams


def build() -> nn.Module:
    return nn.Sequential(
        WeightNormConv2d(2, 3, 3),
        MeanOnlyBatchNorm(3),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        WeightNormLinear(3 * 16, 4),
    )


@pytest.fixture
def images():
    return torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_apply_equals_module(images, layout):
    learner, phi = fresh_learner(build, 3, layout)
    torch.manual_seed(3)
    module = build()
    outputs, statistics = learner.apply(phi, images)
    torch.testing.assert_close(outputs, module(images))
    torch.testing.assert_close(statistics, (module[1].mean,))
    others = torch.randn_like(images)
    torch.testing.assert_close(learner.apply(phi, others, statistics)[0], module.eval()(others))


def test_exported_module_equals_apply_and_detaches_statistics(images):
    learner, phi = fresh_learner(build, 3)
    _, statistics = learner.apply(phi, images)
    module = learner.module(phi + 0.1, statistics)
    expected, _ = learner.apply(phi + 0.1, images, statistics)
    torch.testing.assert_close(module(images), expected)
    module.train()(images).sum().backward()
    assert not module[1].mean.requires_grad


def test_batch_means_are_differentiable_by_phi(images):
    learner, phi = fresh_learner(build, 0)
    phi.requires_grad_()
    _, (mean,) = learner.apply(phi, images)
    assert torch.autograd.grad(mean.sum(), phi)[0].abs().sum() > 0


def test_evaluation_with_given_statistics_ignores_other_samples(images):
    learner, phi = fresh_learner(build, 0)
    _, statistics = learner.apply(phi, images)
    together, _ = learner.apply(phi, images, statistics)
    alone, _ = learner.apply(phi, images[:1], statistics)
    torch.testing.assert_close(alone, together[:1])


def test_fresh_learner_depends_on_seed_and_restores_rng_state():
    state = torch.random.get_rng_state()
    (_, a), (_, b), (_, c) = fresh_learner(build, 1), fresh_learner(build, 1), fresh_learner(build, 2)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(state, torch.random.get_rng_state())


def test_apply_supports_plain_torch_modules():
    learner, phi = fresh_learner(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Flatten()), 0)
    outputs, statistics = learner.apply(phi, torch.randn(3, 1, 5, 5))
    assert outputs.shape == (3, 18)
    assert statistics == ()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), "running statistics"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)), "Dropout at '1' draws random numbers"),
        (nn.Sequential(nn.Linear(2, 2), nn.RReLU()), "RReLU at '1' draws random numbers"),
        (nn.MultiheadAttention(4, 2, dropout=0.5), "MultiheadAttention draws random numbers"),
        (nn.LSTM(4, 2, num_layers=2, dropout=0.5), "LSTM draws random numbers"),
        (nn.Sequential(nn.ReLU()), "no parameters"),
    ],
)
def test_learner_rejects_impure_and_parameterless_modules(module, words):
    with pytest.raises(UsageError, match=words):
        Learner(module)


def test_user_method_named_statistics_is_not_called():
    class Counted(nn.Linear):
        def statistics(self):
            raise AssertionError

    learner, phi = fresh_learner(lambda: Counted(2, 3), 0)
    assert learner.apply(phi, torch.ones(1, 2))[0].shape == (1, 3)


def test_unused_norm_keeps_initial_statistics():
    class Lazy(nn.Linear):
        def __init__(self):
            super().__init__(2, 3)
            self.norm = MeanOnlyBatchNorm(3)

    learner, phi = fresh_learner(Lazy, 0)
    outputs, statistics = learner.apply(phi, torch.ones(1, 2))
    assert torch.equal(statistics[0], torch.zeros(3))
    assert torch.equal(learner.module(phi, statistics)(torch.ones(1, 2)), outputs)


def test_weight_norm_separates_length_from_direction():
    v, g = torch.randn(3, 2, 2, 2), torch.tensor([1.0, 2.0, 0.5])
    w = weight_norm(v, g)
    torch.testing.assert_close(w.flatten(1).norm(dim=1), g)
    torch.testing.assert_close(weight_norm(7 * v, g), w)


def test_sampled_widths_cover_range_and_fixed_widths_stay():
    rng = Streams(0).numpy("widths")
    draws = [sample_widths(((2, 5), (7, 7)), rng) for _ in range(100)]
    assert {first for first, _ in draws} == {2, 3, 4}
    assert {second for _, second in draws} == {7}


def test_depthwise_and_rectangular_convolutions_equal_torch(images):
    torch.manual_seed(0)
    depthwise, oblong = WeightNormConv2d(2, 2, 3, groups=2), WeightNormConv2d(2, 3, (1, 7), stride=(1, 2))
    for layer, stride, padding in ((depthwise, 1, 1), (oblong, (1, 2), (0, 3))):
        groups = 2 if layer is depthwise else 1
        expected = torch.nn.functional.conv2d(
            images, weight_norm(layer.v, layer.g), stride=stride, padding=padding, groups=groups
        )
        torch.testing.assert_close(layer(images), expected)


class Tied(nn.Module):
    """Two layers that share a weight, and a module registered under two names."""

    def __init__(self):
        super().__init__()
        self.first, self.twice = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second, self.again = nn.Linear(4, 4), self.twice
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.again(self.second(self.twice(self.first(x)).relu()).relu())


def test_tied_weights_stay_tied():
    learner, phi = fresh_learner(Tied, 0)
    assert learner.size == 16 + 3 * 4 + 16
    x, phi = torch.randn(3, 4), phi + 0.3
    module = learner.module(phi, ())
    assert module.second.weight is module.first.weight
    torch.testing.assert_close(learner.apply(phi, x)[0], module(x))
    side_by_side = torch.stack([phi, phi - 0.1])
    torch.testing.assert_close(learner.apply(side_by_side, x)[0][1], learner.apply(phi - 0.1, x)[0])
