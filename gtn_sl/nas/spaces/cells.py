"""The cell space of ENAS and NAO, which the GTN paper searches: stacked normal and reduction cells.

Each node applies an operation to each of two inputs, taken from the cell's inputs and earlier nodes, and adds the
results; nodes that no other node reads are concatenated (Pham et al., ICML 2018; Luo et al., NeurIPS 2018, whose larger
set of 11 operations is used here).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from gtn_core.config import Positive, config
from gtn_sl.nas.graph import Edge, Graph
from gtn_sl.nas.spaces.network import Network, stem
from gtn_sl.nas.spaces.operations import OPERATIONS, Norm, Pool, activated
from gtn_sl.nas.spaces.protocol import SPACES, Genotype, Space, read_code, split_exactly

CODES = ("sk", "c1", "c3", "f3", "f7", "m2", "m3", "m5", "a2", "a3", "a5")

INPUTS = 2
"""Inputs of a cell: the outputs of the two previous cells."""

KINDS = ("normal", "reduction")

Branch = tuple[int, int]
"""Source of a node's branch, and the index of its operation in ``CODES``."""

Nodes = Annotated[Positive, Field(le=8)]


class Cell(nn.Module):
    """One cell.

    Args:
        branches: Two per node, in order.
        channels_in: Channels of the two inputs, older first.
        halvings: For each input, how often its side must be halved to match the newer input's: 0 or 1.
        channels: Channels of each node.
        stride: Stride of the operations on the inputs.
        norm: The space's normalisation.

    Attributes:
        channels_out: Channels of the output.
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        channels_in: Sequence[int],
        halvings: Sequence[int],
        channels: int,
        stride: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.fit = nn.ModuleList(
            nn.Sequential(*(Pool("avg", 2, 2) for _ in range(halved)), activated(width, channels, 1, norm))
            for width, halved in zip(channels_in, halvings, strict=True)
        )
        self.sources = [source for source, _ in branches]
        self.branches = nn.ModuleList(
            OPERATIONS[CODES[choice]].build(channels, stride if source < INPUTS else 1, norm)
            for source, choice in branches
        )
        self.loose = loose_ends(branches)
        self.channels_out = channels * len(self.loose)

    def forward(self, older: Tensor, newer: Tensor) -> Tensor:
        """Returns the concatenated loose ends, shape ``(N, channels_out, H / stride, W / stride)`` of ``newer``."""
        states = [fit(x) for fit, x in zip(self.fit, (older, newer), strict=True)]
        for first in range(0, len(self.branches), 2):
            left, right = (self.branches[i](states[self.sources[i]]) for i in (first, first + 1))
            states.append(left + right)
        return torch.cat([states[end] for end in self.loose], dim=1)


class Stack(nn.Module):
    """Sequential cells, each reading the outputs of the previous two."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the last cell's output."""
        older = newer = x
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return newer


class CellNetwork(Network):
    """A network whose only stage is a stack of cells."""

    def auxiliary_point(self) -> nn.Module:
        """See ``Network.auxiliary_point``."""
        stack = self.stages[0]
        assert isinstance(stack, Stack)
        return stack.cells[2 * len(stack.cells) // 3]


def loose_ends(branches: Sequence[Branch]) -> tuple[int, ...]:
    """Returns the nodes that no other node reads."""
    read = {source for source, _ in branches}
    return tuple(node for node in range(INPUTS, INPUTS + len(branches) // 2) if node not in read)


@SPACES.register("cells")
@config
class Cells(Space):
    """Stages of normal cells, separated by reduction cells that double the channels; both cells are searched.

    An encoding ``0c3.1m2-2sk.0a3-..._...`` gives the nodes of the normal cell, each with two branches, then those of
    the reduction cell. A branch is its source (0 is the last cell but one, 1 the last cell, 2 the first node) and an
    operation.
    """

    channels: Positive = 20
    """Channels of a node in the first stage."""
    cells: Positive = 6
    """Normal cells per stage."""
    stages: Positive = 3
    """Number of stages; height and width are halved between them."""
    nodes: Nodes = 5
    """Nodes per cell."""
    stem_stride: Positive = 1
    """Stride of the first convolution."""
    stem_multiplier: Positive = 3
    """Channels of the first convolution, as a multiple of ``channels``."""
    norm: Norm = "batch"
    """Normalisation: ``batch``, or ``mean-only`` with weight norm."""

    @property
    def choices(self) -> tuple[int, ...]:
        """See ``Space.choices``: the source and the operation of each branch, those of the normal cell first."""
        cell = [count for node in range(self.nodes) for count in (INPUTS + node, len(CODES)) * 2]
        return tuple(cell) * len(KINDS)

    def encode(self, genotype: Genotype) -> str:
        """See ``Space.encode``."""
        return "_".join("-".join(_written(cell)) for cell in _by_cell(genotype))

    def _read(self, text: str) -> Genotype:
        choices: list[int] = []
        for kind, cell in zip(KINDS, split_exactly(text, "_", len(KINDS), "cells"), strict=True):
            for node, pair in enumerate(split_exactly(cell, "-", self.nodes, f"nodes of the {kind} cell"), INPUTS):
                where = f"node {node} of the {kind} cell"
                for branch in split_exactly(pair, ".", 2, f"branches of {where}"):
                    choices += _read_branch(branch, node, where)
        return tuple(choices)

    def build(self, genotype: Genotype, image_shape: Sequence[int], classes: int) -> nn.Module:
        """See ``Space.build``."""
        normal, reduction = _by_cell(genotype)
        widths = [self.stem_multiplier * self.channels] * 2  # channels of the two latest outputs
        halved = 0  # 1 if the newer output has half the side of the older
        cells: list[Cell] = []
        for stage in range(self.stages):
            for stride in [2] * (stage > 0) + [1] * self.cells:
                branches = reduction if stride == 2 else normal
                cells.append(Cell(branches, widths, (halved, 0), self.channels << stage, stride, self.norm))
                widths, halved = [widths[1], cells[-1].channels_out], int(stride == 2)
        first = stem(image_shape[0], self.stem_multiplier * self.channels, self.stem_stride, self.norm)
        return CellNetwork(first, [Stack(cells)], widths[1], classes, self.norm)

    def graphs(self, genotype: Genotype) -> dict[str, Graph]:
        """See ``Space.graphs``: both cells."""
        return {f"{kind} cell": _graph(branches) for kind, branches in zip(KINDS, _by_cell(genotype), strict=True)}


@SPACES.register("cells-small")
@config
class SmallCells(Cells):
    """For two CPU cores: three nodes per cell, two stages of one normal cell, and a stem that quarters the pixels."""

    channels: Positive = 8
    cells: Positive = 1
    stages: Positive = 2
    nodes: Nodes = 3
    stem_stride: Positive = 2
    stem_multiplier: Positive = 1


def _by_cell(genotype: Genotype) -> list[list[Branch]]:
    pairs = list(zip(genotype[::2], genotype[1::2], strict=True))
    return [pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]]


def _written(branches: Sequence[Branch]) -> list[str]:
    texts = [f"{source}{CODES[choice]}" for source, choice in branches]
    return [".".join(pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def _read_branch(text: str, node: int, where: str) -> Branch:
    source, code = text[:1], text[1:]
    if source not in "0123456789"[:node] or not source:
        raise ValueError(f"{where} is {text!r}, which must begin with one of 0 to {node - 1}")
    return int(source), read_code(code, CODES, f"an operation of {where}")


def _graph(branches: Sequence[Branch]) -> Graph:
    inner = [f"node {INPUTS + node}" for node in range(len(branches) // 2)]
    names = ("cell k-2", "cell k-1", *inner, "output")
    edges = [
        Edge(names[source], names[INPUTS + place // 2], OPERATIONS[CODES[choice]].title)
        for place, (source, choice) in enumerate(branches)
    ]
    return Graph(names, (*edges, *(Edge(names[end], "output") for end in loose_ends(branches))))
