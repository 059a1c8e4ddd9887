"""Initial weights of agents' networks."""

from itertools import pairwise

import pytest
import torch
from stable_baselines3.common.torch_layers import create_mlp
from torch import nn

from gtn_rl.models.networks import actor_critic, off_policy


def test_off_policy_initial_weights_match_stable_baselines3():
    torch.manual_seed(0)
    theirs = [layer for layer in create_mlp(6, 4, [200, 200]) if isinstance(layer, nn.Linear)]
    network = off_policy(6, 4, (200, 200))
    ours = network.layers(network.initial(torch.Generator().manual_seed(0))[None])
    for (weight, bias), layer in zip(ours, theirs, strict=True):
        bound = layer.in_features**-0.5
        for drawn, reference in ((weight, layer.weight), (bias, layer.bias)):
            assert drawn.numel() == reference.numel()
            assert drawn.abs().max() <= bound
        assert weight.std().item() == pytest.approx(layer.weight.std().item(), rel=0.1)
        assert weight.abs().max() > 0.9 * bound


def test_on_policy_initial_weights_are_orthogonal_with_gains():
    network = actor_critic(6, 4, (32, 32), "tanh", 0.01)
    layers = network.layers(network.initial(torch.Generator().manual_seed(0))[None])
    for (weight, bias), gain, (a, b) in zip(layers, (2**0.5, 2**0.5, 0.01), pairwise(network.sizes), strict=True):
        small = weight[0] @ weight[0].T if a <= b else weight[0].T @ weight[0]
        torch.testing.assert_close(small, gain**2 * torch.eye(min(a, b)), atol=1e-5, rtol=1e-4)
        assert not bias.any()
