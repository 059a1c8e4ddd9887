"""A graph hypernetwork: it looks at what a network computes and says what its parameters should be.

After Zhang et al., *Graph HyperNetworks for Neural Architecture Search* (ICLR 2019), and Knyazev et al., *Parameter Prediction
for Unseen Deep Architectures* (NeurIPS 2021, GHN-2): a gated graph network over the layers, and a decoder that makes a block of
numbers of each layer's state, tiled and cropped to the parameter's shape. Smaller than either, and written anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gtn_sl.nas.rankers.network_graph import NetworkGraph

CHANNELS = 16
"""Channels out and in of the block that a convolution's weights are cut from; where there are more, they repeat."""

VECTOR = 64
"""Length of what biases and gains are cut from."""


class GraphHypernetwork(nn.Module):
    """Predicts parameters.

    Args:
        kinds: Nodes that it knows; every other kind is one and the same to it.
        roles: Names of parameters that it knows, ``weight`` or ``bias``; likewise.
        kernel: Side of the largest convolution.
        width: Length of a node's state.
        rounds: How often nodes hear of their neighbours.
    """

    def __init__(self, kinds: Sequence[str], roles: Sequence[str], kernel: int, width: int, rounds: int) -> None:
        super().__init__()
        self.rounds, self.block = rounds, (CHANNELS, CHANNELS, kernel, kernel)
        self._kinds, self._roles = _numbered(kinds), _numbered(roles)
        self.kinds, self.sizes = nn.Embedding(len(kinds) + 1, width), nn.Linear(4, width)
        self.from_before, self.from_behind = nn.Linear(width, width), nn.Linear(width, width)
        self.gate, self.settled = nn.GRUCell(2 * width, width), nn.LayerNorm(width)
        self.roles = nn.Embedding(len(roles) + 1, width)
        self.weights = _decoder(width, math.prod(self.block))
        self.vectors = _decoder(width, VECTOR)

    def forward(self, graph: NetworkGraph, shapes: Mapping[str, torch.Size]) -> Tensor:
        """Returns a network's parameters, shape ``(D,)``.

        Args:
            graph: What the network computes.
            shapes: Of its parameters, by name, in the order in which they are wanted.
        """
        roles = torch.tensor([self._roles.get(name.rpartition(".")[2], 0) for name in shapes])
        states = self.states(graph)[[graph.owners[name] for name in shapes]] + self.roles(roles)  # (parameters, width)
        flat = torch.tensor([len(shape) < 2 for shape in shapes.values()])
        weights = iter(self.weights(states[~flat]).view(-1, *self.block))
        vectors = iter(self.vectors(states[flat]))
        pieces = [
            _vector(name, next(vectors), shape) if len(shape) < 2 else _weights(next(weights), shape)
            for name, shape in shapes.items()
        ]
        return torch.cat([piece.reshape(-1) for piece in pieces])

    def states(self, graph: NetworkGraph) -> Tensor:
        """Returns what each node has heard, shape ``(N, width)``."""
        kinds = torch.tensor([self._kinds.get(kind, 0) for kind in graph.kinds])
        states = self.kinds(kinds) + self.sizes(graph.sizes)
        for _ in range(self.rounds):
            before, behind = graph.before @ self.from_before(states), graph.behind @ self.from_behind(states)
            states = self.gate(torch.cat([before, behind], dim=1), states)
        settled: Tensor = self.settled(states)
        return settled


def _numbered(names: Sequence[str]) -> dict[str, int]:
    """Numbers names from 1; 0 is for all others."""
    return {name: number for number, name in enumerate(sorted(names), start=1)}


def _decoder(width: int, numbers: int) -> nn.Sequential:
    last = nn.Linear(2 * width, numbers)
    nn.init.normal_(last.weight, std=width**-0.5)  # numbers of variance about 1: half of the ReLUs are off
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), last)


def _weights(block: Tensor, shape: torch.Size) -> Tensor:
    """Cuts weights out of a block, the middle of its kernel, and scales them as He et al. (2015) do."""
    out, into, height, width = (*shape, 1, 1)[:4]
    repeats = [-(-wanted // there) for wanted, there in zip((out, into, height, width), block.shape, strict=True)]
    tiled = block.repeat(*repeats)
    top, left = (tiled.shape[2] - height) // 2, (tiled.shape[3] - width) // 2
    cut = tiled[:out, :into, top : top + height, left : left + width].reshape(shape)
    return cut * math.sqrt(2 / math.prod(shape[1:]))


def _vector(name: str, numbers: Tensor, shape: torch.Size) -> Tensor:
    """Cuts a bias, which is small, or a gain, which is about 1."""
    count = math.prod(shape)
    cut = numbers.repeat(-(-count // len(numbers)))[:count].view(shape)
    return torch.tanh(0.2 * cut) if name.endswith("bias") else 2 * torch.sigmoid(cut)
