"""Networks as in the literature on zero-cost proxies: without weight norm, or without normalisation layers."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from gtn_core.layers import Conv2d, WeightNormConv2d, WeightNormLinear, weight_norm
from gtn_core.norms import BatchNorm, MeanOnlyBatchNorm


def with_plain_weights(module: nn.Module) -> nn.Module:
    """Returns an equivalent copy in which layers with weight norm are replaced by ordinary ones of the same weight."""
    return _replaced(copy.deepcopy(module), _plain)


def without_norms(module: nn.Module) -> nn.Module:
    """Returns a copy in which every normalisation layer is the identity."""
    return _replaced(copy.deepcopy(module), lambda child: nn.Identity() if _is_norm(child) else child)


def _replaced(module: nn.Module, replace: Callable[[nn.Module], nn.Module]) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _replaced(replace(child), replace))
    return module


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, BatchNorm | MeanOnlyBatchNorm)


@torch.no_grad()
def _plain(layer: nn.Module) -> nn.Module:
    plain: nn.Conv2d | nn.Linear
    if isinstance(layer, WeightNormLinear):
        plain = nn.Linear(layer.v.shape[1], layer.v.shape[0], bias=layer.bias is not None)
    elif isinstance(layer, WeightNormConv2d):
        out, per_group, height, width = layer.v.shape
        plain = Conv2d(
            per_group * layer.groups, out, (height, width), layer.stride, layer.padding,
            groups=layer.groups, bias=layer.bias is not None,
        )  # fmt: skip
    else:
        return layer
    plain.weight.copy_(weight_norm(layer.v, layer.g))
    if layer.bias is not None and plain.bias is not None:
        plain.bias.copy_(layer.bias)
    return plain
