"""Generators: folded upsampling against a reference, output range, labels, weight norm, and sizes."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from gtn_sl.data import TASKS
from gtn_sl.generators import GENERATORS, ConditionalGenerator, GeneratorShape, PixelGenerator, layers
from gtn_sl.generators.layers import TransposedConv2d, UpsampledConv2d

NETWORKS = sorted(name for name, form in GENERATORS.items() if form.is_network)


def shape(image_shape=(1, 8, 8), value_range=((-1.0,), (3.0,)), **more):
    limits = torch.tensor(value_range)
    sizes = {"latent": 6, "hidden": 16, "channels": (4, 3), "value_range": limits}
    return GeneratorShape(image_shape, 10, **(sizes | more))


def make(name="conditional", *arguments, **more):
    torch.manual_seed(0)
    return GENERATORS[name](shape(*arguments, **more))


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("width", [2, 5])  # the small one is computed as a dense matrix product
def test_folded_upsampling_equals_separate_operations(width, normed):
    torch.manual_seed(0)
    layer, x = UpsampledConv2d(3, 2, normed=normed, bias=True).double(), torch.randn(2, 3, 4, width).double()
    with torch.no_grad():
        layer.bias.normal_()
    enlarged = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    torch.testing.assert_close(layer(x), F.conv2d(enlarged, layer.kernel(), layer.bias), rtol=1e-12, atol=1e-12)


def test_transposed_convolution_matches_torch():
    torch.manual_seed(0)
    layer, x = TransposedConv2d(3, 2, normed=False, bias=True), torch.randn(2, 3, 4, 5)
    reference = torch.nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1)
    reference.load_state_dict({"weight": layer.v.detach().transpose(0, 1), "bias": layer.bias.detach()})
    torch.testing.assert_close(layer(x), reference(x))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("task", sorted(TASKS))
def test_output_covers_range_of_real_pixels(task, name):
    task = TASKS[task]
    low, high = task.value_range
    generator = make(name, task.image_shape, torch.stack([low, high]).tolist())
    reach = [(generator.offset + sign * generator.scale).flatten() for sign in (-1, 1)]
    assert (reach[0] < low).all()
    assert (reach[1] > high).all()
    images, _ = generator(torch.randn(20, 6), torch.eye(10).repeat(2, 1))
    assert images.shape == (20, *task.image_shape)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_generator_properties_match_behaviour(name):
    generator = make(name)
    noise = torch.randn(10, generator.latent)
    (a, labels), (b, _) = generator(noise, torch.eye(10)), generator(noise, torch.eye(10).flip(0))
    assert ((a - b).abs().max() > 1e-3) == generator.is_told
    assert (labels is not None) == generator.makes_labels
    assert any(True for _ in generator.parameters()) == generator.is_network


@pytest.mark.parametrize("name", NETWORKS)
def test_sides_not_divisible_by_four_are_rejected(name):
    with pytest.raises(ValueError, match="divisible by 4, not 10x8"):
        make(name, (1, 10, 8))


@pytest.mark.parametrize("name", NETWORKS)
def test_disabling_weight_norm_removes_lengths(name):
    normed, plain = make(name), make(name, weight_norm=False)
    lengths = {key for key, _ in normed.named_parameters() if key.endswith(".g")}
    assert (
        {key for key, _ in normed.named_parameters()} - {key for key, _ in plain.named_parameters()} == lengths != set()
    )
    noise, told = torch.randn(10, 6), torch.eye(10)
    torch.testing.assert_close(plain(noise, told)[0], normed(noise, told)[0])  # a length starts at the norm of v
    with torch.no_grad():
        for key, parameter in [*normed.named_parameters(), *plain.named_parameters()]:
            if key.endswith(".v"):
                parameter.mul_(2)
    before = make(name)(noise, told)[0]
    torch.testing.assert_close(normed(noise, told)[0], before)  # its weights do not depend on the size of v
    assert (plain(noise, told)[0] - before).abs().max() > 1e-2


def test_pixel_generator_returns_noise_as_images():
    noise = torch.randn(5, 3 * 10 * 6)
    images, labels = PixelGenerator(shape((3, 10, 6), ((-1.0,) * 3, (1.0,) * 3)))(noise, torch.empty(5, 10))
    assert torch.equal(images.flatten(1), noise)
    assert labels is None


def test_original_widths_give_original_parameter_count():
    original = dataclasses.replace(shape((1, 28, 28)), latent=128, hidden=1024, channels=(128, 64))
    count = sum(p.numel() for p in ConditionalGenerator(original).parameters())
    assert count == pytest.approx(6.66e6, rel=0.005)


def test_upsampling_is_trainable_after_inference_mode(train_after_inference):
    torch.manual_seed(0)
    layer, x = UpsampledConv2d(3, 2, normed=False), torch.randn(2, 3, 1, 1)
    layers._responses.cache_clear()
    train_after_inference(layer, x)
