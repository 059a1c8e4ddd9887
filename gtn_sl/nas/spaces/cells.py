"""The cell space of ENAS and NAO, which the GTN paper searches: a normal and a reduction cell, stacked.

Every node reads two of the cell's inputs and earlier nodes, applies an operation to each and adds the two; nodes that nobody
reads are concatenated (Pham et al., ICML 2018; Luo et al., NeurIPS 2018, whose larger set of 11 operations this has).
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
"""A cell reads the outputs of the two cells before it."""

KINDS = ("normal", "reduction")

Branch = tuple[int, int]
"""Where a branch of a node comes from, and its operation."""

Nodes = Annotated[int, Field(ge=1, le=8)]


class Cell(nn.Module):
    """One cell.

    Args:
        branches: Two a node, in order.
        channels_in: Channels of the two inputs.
        halvings: How often each input is halved before it has the side of the newer one: 0 or 1.
        channels: Of every node.
        stride: What the operations on the inputs divide the side by.
        norm: The space's normalisation.

    Attributes:
        channels_out: Of its output.
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
        """Returns the loose ends, concatenated."""
        states = [fit(x) for fit, x in zip(self.fit, (older, newer), strict=True)]
        for first in range(0, len(self.branches), 2):
            left, right = (self.branches[i](states[self.sources[i]]) for i in (first, first + 1))
            states.append(left + right)
        return torch.cat([states[end] for end in self.loose], dim=1)


class Stack(nn.Module):
    """Cells one after the other, each reading the two before it."""

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
    """A network whose one stage is a stack of cells."""

    def auxiliary_point(self) -> nn.Module:
        """See ``Network.auxiliary_point``."""
        stack = self.stages[0]
        assert isinstance(stack, Stack)
        return stack.cells[2 * len(stack.cells) // 3]


def loose_ends(branches: Sequence[Branch]) -> tuple[int, ...]:
    """Returns the nodes that no node reads."""
    read = {source for source, _ in branches}
    return tuple(node for node in range(INPUTS, INPUTS + len(branches) // 2) if node not in read)


@SPACES.register("cells")
@config
class Cells(Space):
    """A normal and a reduction cell; stages of normal cells, a reduction cell between them that doubles the channels.

    ``0c3.1m2-2sk.0a3-..._...``: the normal cell's nodes with their two branches, then the reduction cell's. A branch is
    what it reads (0 and 1 are the cell before the last and the last, 2 the first node) and an operation.
    """

    channels: Positive = 20
    """Channels of a node in the first stage."""
    cells: Positive = 6
    """Normal cells in a stage."""
    stages: Positive = 3
    """Stages; the side is halved between them."""
    nodes: Nodes = 5
    """Nodes of a cell."""
    stem_stride: Positive = 1
    """Stride of the first convolution."""
    stem_multiplier: Positive = 3
    """Channels of the first convolution, as a multiple of ``channels``."""
    norm: Norm = "batch"
    """Normalisation: ``batch``, or ``mean-only`` with weight norm."""

    @property
    def choices(self) -> tuple[int, ...]:
        """See ``Space.choices``: for each branch its source and its operation, first of the normal cell."""
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
        widths = [self.stem_multiplier * self.channels] * 2  # of the two newest outputs
        halved = 0  # 1 where the newer has half the side of the older
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
    """Three nodes a cell and one normal cell in each of two stages, on images of a quarter of the pixels: for two CPU cores."""

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
        raise ValueError(f"{where} reads {text!r}, which should begin with one of 0 to {node - 1}")
    return int(source), read_code(code, CODES, f"an operation of {where}")


def _graph(branches: Sequence[Branch]) -> Graph:
    inner = [f"node {INPUTS + node}" for node in range(len(branches) // 2)]
    names = ("cell k-2", "cell k-1", *inner, "output")
    edges = [
        Edge(names[source], names[INPUTS + place // 2], OPERATIONS[CODES[choice]].title)
        for place, (source, choice) in enumerate(branches)
    ]
    return Graph(names, (*edges, *(Edge(names[end], "output") for end in loose_ends(branches))))
