"""The hypernetwork ranker: computation graphs, predicted parameters, training and resuming."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from gtn_core.errors import DivergedError, GTNError
from gtn_sl.nas.candidate import Candidate, decode_all
from gtn_sl.nas.rankers import find_ranker, kept_training
from gtn_sl.nas.rankers.graph_hypernetwork import CHANNELS, _vector, _weights
from gtn_sl.nas.rankers.hypernetwork import HypernetworkTraining
from gtn_sl.nas.rankers.kept_training import train_kept
from gtn_sl.nas.rankers.network_graph import network_graph
from gtn_sl.nas.spaces import SPACES, find_space

FULL, SPARSE, BLIND = "c3-c3.c3-c3.c3.c3", "c3-sk.no-c1.a3.c3", "no-no.no-no.no.no"
QUICK = "hypernetwork@training_steps=3,batch_size=8,width=8,rounds=2"


class Diamond(nn.Module):
    """A stem and two parallel paths, which are summed."""

    def __init__(self):
        super().__init__()
        self.stem, self.left = nn.Conv2d(1, 2, 3, bias=False), nn.Conv2d(2, 2, 1)
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x):
        x = self.stem(x)
        return self.left(x).relu() + x


def test_network_graph_matches_hand_computation():
    diamond = Diamond()
    with pytest.raises(GTNError, match="nothing in Diamond reads its parameter 'scale'"):
        network_graph(diamond)
    del diamond.scale
    graph = network_graph(diamond)
    image, stem, left, relu, add, output = range(6)
    assert graph.kinds[stem] == "Conv2d kernel_size=(3, 3) stride=(1, 1)"
    assert (graph.kinds[relu], graph.kinds[add]) == ("call_method relu", "call_function add")
    assert graph.owners == {"stem.weight": stem, "left.weight": left, "left.bias": left}
    assert graph.sizes[stem].exp().round().tolist() == [2, 1, 3, 3]
    # Messages reach the sum from the stem over one edge (the shortest path), from left and from the image over two.
    heard = torch.tensor([1 / 2, 1, 1 / 2, 1, 0, 0])
    torch.testing.assert_close(graph.before[add], heard / heard.sum())
    torch.testing.assert_close(graph.behind[relu], torch.tensor([0, 0, 0, 0, 1, 1 / 2]) / 1.5)
    assert graph.before[image].tolist() == graph.behind[output].tolist() == [0] * 6


def test_data_dependent_control_flow_cannot_be_traced():
    class Fork(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(GTNError, match=r"torch\.fx cannot trace Fork"):
        network_graph(Fork())


def test_block_is_tiled_cropped_and_scaled():
    block = torch.randn(CHANNELS, CHANNELS, 5, 5)
    weights = _weights(block, torch.Size((CHANNELS + 2, 3, 1, 3)))
    scale = (2 / 9) ** 0.5
    torch.testing.assert_close(weights[:CHANNELS], scale * block[:, :3, 2:3, 1:4])
    assert torch.equal(weights[CHANNELS:], weights[:2])
    numbers = torch.tensor([0.0, 1.0])
    torch.testing.assert_close(_vector("norm.weight", numbers, torch.Size((3,)))[[0, 2]], torch.ones(2))
    torch.testing.assert_close(_vector("norm.bias", numbers, torch.Size((3,)))[1], torch.tensor(0.2).tanh())


@pytest.mark.parametrize("space", sorted(SPACES))
@pytest.mark.parametrize("norm", ["batch", "mean-only"])
def test_parameters_are_predicted_for_every_space(space, norm, setting):
    narrow = dataclasses.replace(find_space(space), channels=2, norm=norm)
    narrow = dataclasses.replace(narrow, **({"cells": 1} if hasattr(narrow, "cells") else {}))
    training = HypernetworkTraining(find_ranker(QUICK), dataclasses.replace(setting, space=narrow))
    drawn = Candidate(narrow, narrow.sample(np.random.default_rng(0)))
    learner, phi = training.network(drawn)
    assert phi.shape == (learner.size,)
    assert phi.isfinite().all()
    assert 0.1 < phi.std() < 10
    assert not set(network_graph(drawn.module(setting.data.task, 0)).kinds) - set(training._net._kinds)
    assert np.isfinite(training.step(0))


def test_equal_layers_at_other_positions_get_other_weights(setting):
    training = HypernetworkTraining(find_ranker(QUICK), setting)
    (full,) = decode_all(setting.space, [FULL])
    learner, phi = training.network(full)
    parameters = learner.parameters(phi)
    first, last = parameters["stages.0.edges.0.1.weight"], parameters["stages.0.edges.5.1.weight"]
    assert not torch.allclose(first, last, atol=1e-3)


@pytest.mark.slow
def test_predicted_parameters_beat_chance_after_training(setting):
    judge = find_ranker("hypernetwork@training_steps=400,batch_size=32,lr=0.003").prepare(setting)
    full, sparse, blind = (judge(candidate, 0).value for candidate in decode_all(setting.space, [FULL, SPARSE, BLIND]))
    assert min(full, sparse) > 0.3 > blind


def test_resumed_training_matches_uninterrupted_training(setting, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_training, "SAVE_EVERY", 0.0)
    whole, first, second = (HypernetworkTraining(find_ranker(QUICK), setting) for _ in range(3))
    train_kept(whole, "whole", None)
    first.steps = 1
    train_kept(first, "first", tmp_path)
    train_kept(second, "second", tmp_path)
    assert second.state().keys() == whole.state().keys()
    assert all(torch.equal(second.state()[name], tensor) for name, tensor in whole.state().items())


def test_checkpoint_of_other_width_is_ignored_with_warning(setting, tmp_path, caplog):
    train_kept(HypernetworkTraining(find_ranker(QUICK), setting), "it", tmp_path)
    other, fresh = (HypernetworkTraining(find_ranker(QUICK.replace("width=8", "width=9")), setting) for _ in range(2))
    train_kept(other, "other", tmp_path)
    train_kept(fresh, "fresh", None)
    assert all(torch.equal(other.state()[name], tensor) for name, tensor in fresh.state().items())
    assert "needs (" in caplog.text
    assert "is damaged; ignoring it" in caplog.text


def test_diverged_hypernetwork_raises(setting):
    training = HypernetworkTraining(find_ranker(QUICK), setting)
    with torch.no_grad():
        training._net.weights[2].weight.fill_(float("nan"))
    with pytest.raises(DivergedError, match="try a smaller lr"):
        training.step(0)
