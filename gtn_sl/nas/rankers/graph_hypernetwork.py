"""A graph hypernetwork, which predicts a network's parameters from its computation graph.

After Zhang et al., *Graph HyperNetworks for Neural Architecture Search* (ICLR 2019), and Knyazev et al., *Parameter
Prediction for Unseen Deep Architectures* (NeurIPS 2021, GHN-2): a gated graph network over the layers, and a decoder
that maps each layer's state to a block of numbers, which is tiled and cropped to the parameter's shape. A new
implementation, smaller than either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gtn_sl.nas.rankers.network_graph import NetworkGraph

CHANNELS = 16
"""Output and input channels of the block that convolution weights are cut from; it repeats in wider layers."""

VECTOR = 64
"""Length of the vector that biases and gains are cut from."""


class GraphHypernetwork(nn.Module):
    """Predicts the parameters of a network from its graph.

    Args:
        kinds: Known kinds of nodes; all others share one embedding.
        roles: Known last parts of parameter names, e.g. ``weight`` and ``bias``; all others share one embedding.
        kernel: Side of the largest convolution kernel.
        width: Length of a node's state.
        rounds: Rounds of message passing.
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
            graph: Computation graph of the network.
            shapes: Shapes of its parameters by name, in the order of the result.
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
        """Returns the state of each node after message passing, shape ``(N, width)``."""
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
    nn.init.normal_(last.weight, std=width**-0.5)  # outputs have variance about 1, since half of the ReLUs are off
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), last)


def _weights(block: Tensor, shape: torch.Size) -> Tensor:
    """Tiles a block and crops it to the weights' shape, centred on its kernel, with the scale of He et al. (2015)."""
    out, into, height, width = (*shape, 1, 1)[:4]
    repeats = [-(-wanted // there) for wanted, there in zip((out, into, height, width), block.shape, strict=True)]
    tiled = block.repeat(*repeats)
    top, left = (tiled.shape[2] - height) // 2, (tiled.shape[3] - width) // 2
    cut = tiled[:out, :into, top : top + height, left : left + width].reshape(shape)
    return cut * math.sqrt(2 / math.prod(shape[1:]))


def _vector(name: str, numbers: Tensor, shape: torch.Size) -> Tensor:
    """Tiles and crops numbers to a small bias, or to a gain around 1."""
    count = math.prod(shape)
    cut = numbers.repeat(-(-count // len(numbers)))[:count].view(shape)
    return torch.tanh(0.2 * cut) if name.endswith("bias") else 2 * torch.sigmoid(cut)
