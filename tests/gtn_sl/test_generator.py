"""The generator: its folded upsampling against the operations it stands for, and the range of its output."""

import pytest
import torch
from torch.nn import functional as F

from gtn_core.layers import weight_norm
from gtn_sl.data import TASKS
from gtn_sl.generator import ConditionalGenerator, UpsampledConv2d


def make(shape=(1, 8, 8), value_range=((-1.0,), (3.0,))):
    torch.manual_seed(0)
    limits = torch.tensor(value_range)
    return ConditionalGenerator(shape, 10, latent=6, hidden=16, channels=(4, 3), value_range=limits)


@pytest.mark.parametrize("width", [2, 5])  # the small one as one dense matrix product
def test_folded_upsampling_equals_upsampling_padding_and_convolution(width):
    torch.manual_seed(0)
    layer, x = UpsampledConv2d(3, 2, bias=True).double(), torch.randn(2, 3, 4, width).double()
    with torch.no_grad():
        layer.bias.normal_()
    enlarged = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    expected = F.conv2d(enlarged, weight_norm(layer.v, layer.g), layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_output_covers_the_range_of_real_pixels(name):
    task = TASKS[name]
    low, high = task.value_range
    generator = make(task.image_shape, torch.stack([low, high]).tolist())
    reach = [(generator.offset + sign * generator.scale).flatten() for sign in (-1, 1)]
    assert (reach[0] < low).all()
    assert (reach[1] > high).all()
    images = generator(torch.randn(20, 6), torch.eye(10).repeat(2, 1))
    assert images.shape == (20, *task.image_shape)


def test_images_depend_on_the_label():
    generator, noise = make(), torch.randn(10, 6)
    a, b = generator(noise, torch.eye(10)), generator(noise, torch.eye(10).flip(0))
    assert (a - b).abs().max() > 1e-3


def test_sides_must_be_divisible_by_four():
    with pytest.raises(ValueError, match=r"divisible by 4, got an image of \(1, 10, 8\)"):
        make((1, 10, 8))


def test_the_original_width_has_the_originals_size():
    torch.manual_seed(0)
    generator = ConditionalGenerator(
        (1, 28, 28), 10, latent=128, hidden=1024, channels=(128, 64), value_range=torch.tensor([[-1.0], [1.0]])
    )
    count = sum(p.numel() for p in generator.parameters())
    assert count == pytest.approx(6.66e6, rel=0.005)
