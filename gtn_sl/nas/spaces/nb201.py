"""The cell space of NAS-Bench-201 (Dong and Yang, ICLR 2020): four nodes and an operation on each edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from torch import Tensor, nn

from gtn_core.config import Positive, config
from gtn_sl.nas.graph import Edge, Graph
from gtn_sl.nas.spaces.network import Network, ResidualReduction, pooled_reduction, stem
from gtn_sl.nas.spaces.operations import OPERATIONS, Norm
from gtn_sl.nas.spaces.protocol import SPACES, Genotype, Space, read_code, split_exactly

CODES = ("no", "sk", "c1", "c3", "a3")
PUBLISHED = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Names of the same operations in the benchmark's own architecture strings."""

NODES = 4
EDGES = tuple((source, target) for target in range(1, NODES) for source in range(target))

REDUCTIONS: dict[str, Callable[[int, int, Norm], nn.Module]] = {
    "residual": ResidualReduction,
    "pool": pooled_reduction,
}


class Cell(nn.Module):
    """Node 0 is the input and node 3 the output; every other node is the sum of its incoming edges."""

    def __init__(self, genotype: Genotype, channels: int, norm: Norm) -> None:
        super().__init__()
        self.edges = nn.ModuleList(OPERATIONS[CODES[choice]].build(channels, 1, norm) for choice in genotype)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the last node; it has the shape of ``x``, ``(N, channels, H, W)``."""
        nodes = [x]
        edges = iter(self.edges)
        for _ in range(1, NODES):
            first, *others = [next(edges)(node) for node in nodes]
            nodes.append(sum(others, first))
        return nodes[-1]


@SPACES.register("nb201")
@config
class NASBench201(Space):
    """Stages of identical cells; channels double between stages.

    The encoding ``c3-sk.no-c1.a3.c3`` gives the operations into node 1, into node 2 (from nodes 0 and 1) and into node
    3. The benchmark's own strings, ``|nor_conv_3x3~0|+|...``, are also accepted.
    """

    channels: Positive = 16
    """Channels of the first stage."""
    cells: Positive = 5
    """Cells per stage."""
    stages: Positive = 3
    """Number of stages; height and width are halved between them."""
    stem_stride: Positive = 1
    """Stride of the first convolution."""
    reduction: Literal["residual", "pool"] = "residual"
    """Reduction between stages: a residual block of 3x3 convolutions, or average pooling and a 1x1 convolution."""
    norm: Norm = "batch"
    """Normalisation: ``batch``, or ``mean-only`` with weight norm."""

    @property
    def choices(self) -> tuple[int, ...]:
        """See ``Space.choices``: an operation for each edge."""
        return (len(CODES),) * len(EDGES)

    def encode(self, genotype: Genotype) -> str:
        """See ``Space.encode``."""
        return "-".join(".".join(CODES[choice] for choice in node) for node in _by_node(genotype))

    def _read(self, text: str) -> Genotype:
        nodes = _published(text) if text.startswith("|") else text.split("-")
        if len(nodes) != NODES - 1:
            raise ValueError(f"expected {NODES - 1} nodes separated by '-', found {len(nodes)}")
        choices = []
        for target, node in enumerate(nodes, start=1):
            codes = split_exactly(node, ".", target, f"operations of node {target}")
            choices += [read_code(code, CODES, f"edge {source} to {target}") for source, code in enumerate(codes)]
        return tuple(choices)

    def build(self, genotype: Genotype, image_shape: Sequence[int], classes: int) -> nn.Module:
        """See ``Space.build``."""
        parts: list[nn.Module] = []
        for stage in range(self.stages):
            channels = self.channels << stage
            if stage:
                parts.append(REDUCTIONS[self.reduction](channels // 2, channels, self.norm))
            parts += [Cell(genotype, channels, self.norm) for _ in range(self.cells)]
        first = stem(image_shape[0], self.channels, self.stem_stride, self.norm)
        return Network(first, parts, self.channels << (self.stages - 1), classes, self.norm)

    def graphs(self, genotype: Genotype) -> dict[str, Graph]:
        """See ``Space.graphs``: the cell, without ``none`` edges."""
        names = ("input", "node 1", "node 2", "output")
        edges = (
            Edge(names[source], names[target], OPERATIONS[CODES[choice]].title)
            for (source, target), choice in zip(EDGES, genotype, strict=True)
            if CODES[choice] != "no"
        )
        return {"cell": Graph(names, tuple(edges))}


@SPACES.register("nb201-small")
@config
class SmallNASBench201(NASBench201):
    """For two CPU cores: two stages of one cell, and a stem that quarters the pixels."""

    channels: Positive = 8
    cells: Positive = 1
    stages: Positive = 2
    stem_stride: Positive = 2
    reduction: Literal["residual", "pool"] = "pool"


def _by_node(genotype: Genotype) -> Iterator[Genotype]:
    for target in range(1, NODES):
        first = target * (target - 1) // 2
        yield genotype[first : first + target]


def _published(text: str) -> list[str]:
    """Converts the benchmark's ``|op~0|+|op~0|op~1|+...`` to the nodes of our own encoding.

    Raises:
        ValueError: An edge is out of place, or its operation is unknown.
    """
    nodes = []
    for target, node in enumerate(text.split("+"), start=1):
        codes = []
        for source, edge in enumerate(node.strip("|").split("|")):
            operation, _, number = edge.partition("~")
            if number != str(source):
                raise ValueError(f"node {target}: {edge!r} must come from node {source}, i.e. {operation}~{source}")
            codes.append(CODES[read_code(operation, PUBLISHED, f"edge {source} to {target}")])
        nodes.append(".".join(codes))
    return nodes
