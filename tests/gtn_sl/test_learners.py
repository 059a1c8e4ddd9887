"""Learners: published parameter counts, names and settings, folded pooling, and users' own modules."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gtn_core.errors import UsageError
from gtn_core.layers import WeightNormConv2d, weight_norm
from gtn_core.learner import Learner
from gtn_core.norms import BatchNorm, GroupNorm, MeanOnlyBatchNorm
from gtn_sl.data import TASKS
from gtn_sl.learners import LEARNERS, architecture, pooled_conv
from gtn_sl.learners.pooled_conv import AveragePooledConv2d

COUNTS = {
    "base": (75_988, 77_140),
    "base_fc": (1_683_668, 2_176_340),
    "base_larger": (1_683_668, 2_176_340),
    "base_larger2": (1_110_740, 1_111_892),
    "base_larger3": (3_671_636, 4_655_828),
    "base_larger3_global_pooling": (459_604, 460_756),
    "base_larger4": (3_755_860, 4_740_052),
    "base_larger4_global_pooling": (543_572, 544_724),
    "linear": (235_924, 821_652),
    "convnet": (317_706, 320_010),  # as in the dataset distillation literature
}
SHAPES = ((1, 28, 28), (3, 32, 32))


def count(name: str, shape: tuple[int, int, int]) -> int:
    return sum(p.numel() for p in architecture(name).module(shape, 10).parameters())


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_parameter_counts_match_originals(name):
    assert tuple(count(name, shape) for shape in SHAPES) == COUNTS[name]
    if f"{name}_maxpool" in LEARNERS:
        assert tuple(count(f"{name}_maxpool", shape) for shape in SHAPES) == COUNTS[name]


def test_lenet_has_published_parameter_count():
    assert count("lenet", (1, 28, 28)) == count("lenet", (1, 32, 32)) == 61_706


@pytest.mark.parametrize("side", [4, 7, 8, 13])  # the small ones are computed as a dense matrix product
@pytest.mark.parametrize("channels", [1, 3])
def test_folded_pooling_equals_convolution_and_pooling(channels, side):
    torch.manual_seed(0)
    layer, x = AveragePooledConv2d(channels, 5, bias=True).double(), torch.randn(2, channels, 9, side).double()
    expected = F.avg_pool2d(F.conv2d(x, weight_norm(layer.v, layer.g), layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["base", "base_fc", "sampled", "convnet", "lenet", "vgg"])
def test_too_small_images_are_rejected(name):
    with pytest.raises(
        UsageError, match=r"images of 1x3x9 are too small for this learner.*: their sides must be at least"
    ):
        architecture(name).module((1, 3, 9), 10)


def test_name_sets_widths_and_settings_after_colon():
    family = architecture("base_fc:4,8,16,norm=batch,activation=tanh")
    module = family.module((1, 8, 8), 3)
    assert [len(layer.g) for layer in module if hasattr(layer, "g")] == [4, 8, 16, 3]
    assert [type(layer).__name__ for layer in module[1:3]] == ["BatchNorm", "Tanh"]
    assert family.random_widths == ((4, 4), (8, 8), (16, 16))
    assert architecture("sampled:depth=2").depths == (2, 3)
    assert architecture("base:norm=none").random_widths == architecture("base").random_widths


@pytest.mark.parametrize("name", ["base_fc:4,8", "base_fc:a,b,c", "base_fc:0,1,1", "base_fc:1,2,3,4"])
def test_invalid_widths_error_gives_example(name):
    with pytest.raises(UsageError, match="takes 3 widths such as base_fc:64,128,256"):
        architecture(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("base_fcc", "unknown learner 'base_fcc'; did you mean 'base_fc'"),
        ("base:norm=bach", "unknown norm 'bach'; did you mean 'batch'"),
        ("base:activation=rel", "unknown activation 'rel'; did you mean 'relu'"),
        ("base:depth=2", "unknown setting of learner 'base': 'depth'; known: activation, norm"),
        ("base_fc:wide", "takes 3 widths such as base_fc:64,128,256, got 'wide'"),
        ("sampled:depth=5", "takes a depth from 0 to 4, got '5'"),
    ],
)
def test_invalid_names_and_settings_get_helpful_error(name, words):
    with pytest.raises(UsageError, match=words):
        architecture(name)


def test_sampled_learner_is_determined_by_seed():
    family = architecture("sampled4:4")
    learners = [family.fresh(TASKS["digits"], seed, "contiguous")[0] for seed in (0, 0, 1, 2, 3)]
    shapes = [tuple(learner.parameters(learner.initial())) for learner in learners]
    assert shapes[0] == shapes[1]
    assert len(set(shapes)) > 2


def test_learner_without_norm_has_biases_instead():
    for name in ("base", "resnet", "convnet"):
        family = architecture(f"{name}:norm=none")
        module = family.module((1, 8, 8), 3)
        convolutions = [c for c in module.modules() if isinstance(c, (nn.Conv2d, WeightNormConv2d))]
        assert len(convolutions) > 1
        assert all(convolution.bias is not None for convolution in convolutions)
        assert not any(isinstance(child, (GroupNorm, BatchNorm, MeanOnlyBatchNorm)) for child in module.modules())


NETS = """
import torch
from torch import nn

class Shaped(nn.Sequential):
    def __init__(self, image_shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(image_shape[0] * image_shape[1] * image_shape[2], classes))

class Fixed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

class Stale(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 10, 8), nn.BatchNorm2d(10), nn.Flatten())

class Mixing(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 10, 8), nn.BatchNorm2d(10, track_running_stats=False), nn.Flatten())

class Frozen(Fixed):
    def __init__(self):
        super().__init__()
        self[1].bias.requires_grad_(False)

class Noisy(Fixed):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.5)

class Lost(Fixed):
    def forward(self, x):
        return super().forward(x).log() * float("nan")

class Broken(nn.Linear):
    def __init__(self):
        raise RuntimeError("no such size")

def no_module():
    return 3

number = 5
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "users_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", ["Shaped", "Fixed"])
def test_user_module_becomes_learner(nets, name):
    family = architecture(f"users_nets:{name}")
    learner, phi = family.fresh(TASKS["digits"], 0, "contiguous")
    assert isinstance(learner, Learner)
    assert learner.apply(phi, torch.zeros(2, 1, 8, 8))[0].shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("users_nets:Missing", "unknown attribute of the module 'users_nets': 'Missing'"),
        ("users_nest:Fixed", "cannot import the learner 'users_nest:Fixed': ModuleNotFoundError"),
        ("users_nets:number", "is a int, not a class"),
        ("users_nets:no_module", "builds a int, not a torch.nn.Module"),
        ("users_nets:Broken", "fails to build: RuntimeError: no such size"),
        ("users_nets:Stale", "keeps running statistics"),
        ("users_nets:Mixing", "uses batch statistics in evaluation"),
        ("users_nets:Frozen", "the parameter '1.bias' is frozen"),
        ("users_nets:Noisy", "returns different logits for the same images: it draws random numbers"),
        ("users_nets:Lost", "returns logits that are NaN"),
    ],
)
def test_invalid_user_module_is_rejected(nets, name, words):
    with pytest.raises(UsageError, match=words):
        architecture(name).module((1, 8, 8), 10)


@pytest.mark.parametrize(
    ("shape", "classes", "words"),
    [((1, 9, 9), 10, "fails on images of 1x9x9: RuntimeError"), ((1, 8, 8), 7, r"shape \(3, 7\), got \(3, 10\)")],
)
def test_user_module_that_does_not_fit_task_is_rejected(nets, shape, classes, words):
    with pytest.raises(UsageError, match=words):
        architecture("users_nets:Fixed").module(shape, classes)


def test_form_changes_one_module_but_not_family():
    family = architecture("base")
    form = dataclasses.replace(family.form, activation="relu")
    assert isinstance(family.module((1, 8, 8), 3, form)[2], nn.ReLU)
    assert family.form.activation == "leaky_relu"


def test_folded_pooling_is_trainable_after_inference_mode(train_after_inference):
    layer, x = AveragePooledConv2d(2, 5), torch.randn(2, 2, 2, 2)
    pooled_conv._responses.cache_clear()
    train_after_inference(layer, x)
