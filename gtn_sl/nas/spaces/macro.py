"""The macro space of the original code's ``sampled`` learners: blocks of sequential operations, without branches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gtn_core.config import Positive, config
from gtn_sl.nas.graph import Edge, Graph
from gtn_sl.nas.spaces.network import Network, stem
from gtn_sl.nas.spaces.operations import OPERATIONS, Norm, Pool, activated
from gtn_sl.nas.spaces.protocol import SPACES, Genotype, Space, read_code, split_exactly

CODES = ("c3", "c1", "s3", "s1", "m3", "a3")


@SPACES.register("macro")
@config
class Macro(Space):
    """A stem, then blocks that double the channels and apply their operations in order, with pooling before each block.

    The encoding ``c3.s3.a3.m3-c1.c3.s1.c3`` gives the operations of two blocks.
    """

    channels: Positive = 64
    """Channels of the stem; each block doubles them."""
    blocks: Positive = 2
    """Number of blocks."""
    operations: Positive = 4
    """Operations per block."""
    norm: Norm = "batch"
    """Normalisation: ``batch``, or ``mean-only`` with weight norm."""

    @property
    def choices(self) -> tuple[int, ...]:
        """See ``Space.choices``."""
        return (len(CODES),) * (self.blocks * self.operations)

    def encode(self, genotype: Genotype) -> str:
        """See ``Space.encode``."""
        return "-".join(".".join(CODES[choice] for choice in block) for block in self._by_block(genotype))

    def _read(self, text: str) -> Genotype:
        choices = []
        for number, block in enumerate(split_exactly(text, "-", self.blocks, "blocks"), start=1):
            codes = split_exactly(block, ".", self.operations, f"operations of block {number}")
            choices += [read_code(code, CODES, f"an operation of block {number}") for code in codes]
        return tuple(choices)

    def build(self, genotype: Genotype, image_shape: Sequence[int], classes: int) -> nn.Module:
        """See ``Space.build``."""
        parts: list[nn.Module] = []
        channels = self.channels
        for number, block in enumerate(self._by_block(genotype)):
            wider = activated(channels, 2 * channels, 1, self.norm)
            parts.append(nn.Sequential(Pool("avg", 2, 2), wider) if number else wider)
            channels *= 2
            parts += [OPERATIONS[CODES[choice]].build(channels, 1, self.norm) for choice in block]
        first = nn.Sequential(stem(image_shape[0], self.channels, 1, self.norm), Pool("avg", 2, 2))
        return Network(first, parts, channels, classes, self.norm)

    def graphs(self, genotype: Genotype) -> dict[str, Graph]:
        """See ``Space.graphs``: a chain for each block."""
        names = ("input", *(str(place) for place in range(1, self.operations)), "output")
        return {
            f"block {number}": Graph(
                names,
                tuple(
                    Edge(source, target, OPERATIONS[CODES[choice]].title)
                    for source, target, choice in zip(names, names[1:], block, strict=False)
                ),
            )
            for number, block in enumerate(self._by_block(genotype), start=1)
        }

    def _by_block(self, genotype: Genotype) -> list[Genotype]:
        return [genotype[first : first + self.operations] for first in range(0, len(genotype), self.operations)]


@SPACES.register("macro-small")
@config
class SmallMacro(Macro):
    """For two CPU cores: a tenth of the channels and three operations per block."""

    channels: Positive = 6
    operations: Positive = 3
