"""The original's ``base`` and ``base_fc`` learners, with max-pooling or with smooth average pooling.

Max-pooling makes the meta-gradient erratic, so average pooling is the default form of both.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import nn

from gtn_core.layers import WeightNormLinear
from gtn_sl.learners.form import Form, GlobalAverage
from gtn_sl.learners.registry import LEARNERS, Architecture

_CONVOLUTIONS = ((32, 128), (64, 256))  # the original's range of each width


def _features(channels: int, form: Form, smooth: bool, gain: float = 1.0) -> list[nn.Module]:
    pooled = functools.partial(form.pooled_conv, gain=gain) if smooth else form.maxpooled_conv
    return [*pooled(channels, form.widths[0]), *pooled(form.widths[0], form.widths[1])]


def _base(image_shape: Sequence[int], classes: int, form: Form, smooth: bool) -> nn.Module:
    # without the gain, the global averaging would make it learn much slower than the others
    features = _features(image_shape[0], form, smooth, gain=2.0)
    return nn.Sequential(*features, GlobalAverage(), WeightNormLinear(form.widths[1], classes))


def _base_fc(image_shape: Sequence[int], classes: int, form: Form, smooth: bool) -> nn.Module:
    channels, height, width = image_shape
    _, conv2, fc = form.widths
    positions = (height // 4) * (width // 4) if smooth else -(-height // 4) * -(-width // 4)
    return nn.Sequential(
        *_features(channels, form, smooth),
        nn.Flatten(),
        *form.linear(conv2 * positions, fc),
        WeightNormLinear(fc, classes),
    )


def _base_family(smooth: bool) -> Architecture:
    return Architecture(
        lambda shape, classes, form: _base(shape, classes, form, smooth),
        Form((64, 128)),
        random_widths=_CONVOLUTIONS,
        least_side=lambda form: 4,
    )


def _base_fc_family(smooth: bool) -> Architecture:
    return Architecture(
        lambda shape, classes, form: _base_fc(shape, classes, form, smooth),
        Form((64, 128, 256)),
        random_widths=(*_CONVOLUTIONS, (64, 256)),
        least_side=lambda form: 4,
    )


@LEARNERS.register("base")
def base() -> Architecture:
    """Two 3x3 convolutions, each with 2x2 average pooling, then global average pooling."""
    return _base_family(smooth=True)


@LEARNERS.register("base_fc")
@LEARNERS.register("base_larger")
def base_fc() -> Architecture:
    """Like ``base``, with a hidden linear layer on all positions instead of their average."""
    return _base_fc_family(smooth=True)


@LEARNERS.register("base_maxpool")
def base_maxpool() -> Architecture:
    """The original's ``base``, with overlapping 3x3 max-pooling."""
    return _base_family(smooth=False)


@LEARNERS.register("base_fc_maxpool")
@LEARNERS.register("base_larger_maxpool")
def base_fc_maxpool() -> Architecture:
    """The original's ``base_fc``, with overlapping 3x3 max-pooling."""
    return _base_fc_family(smooth=False)
