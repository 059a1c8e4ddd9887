"""What a search space is: a fixed number of choices, the text that names them, and the network that they make."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from gtn_core.errors import UsageError
from gtn_core.registry import Registry
from gtn_sl.nas.graph import Graph
from gtn_sl.nas.specification import parse, specify

Genotype = tuple[int, ...]
"""One architecture of a space: what was chosen at each of its decisions."""


class Space(abc.ABC):
    """A search space; its subclasses are configs, whose fields are the settings of the networks that it builds.

    A subclass gives ``choices``, ``encode``, ``_read``, ``build`` and ``graphs``; drawing, mutating, counting and
    enumerating follow from the choices.
    """

    @property
    def name(self) -> str:
        """Its specification, which ``find_space`` reads."""
        return specify(SPACES, self)

    @property
    @abc.abstractmethod
    def choices(self) -> tuple[int, ...]:
        """How many ways each decision can go."""

    @abc.abstractmethod
    def encode(self, genotype: Genotype) -> str:
        """Returns the text of an architecture; letters, digits and ``.-_`` only, so that a file can have it as its name."""

    @abc.abstractmethod
    def _read(self, text: str) -> Genotype:
        """Reads an encoding.

        Raises:
            ValueError: It is none; the message says where and why.
        """

    @abc.abstractmethod
    def build(self, genotype: Genotype, image_shape: Sequence[int], classes: int) -> nn.Module:
        """Builds the network, its parameters drawn from torch's global generator.

        Args:
            genotype: The architecture.
            image_shape: ``(C, H, W)``.
            classes: Number of logits.
        """

    @abc.abstractmethod
    def graphs(self, genotype: Genotype) -> dict[str, Graph]:
        """Returns what to draw of an architecture, by title."""

    def decode(self, text: str) -> Genotype:
        """Reads an encoding.

        Raises:
            UsageError: It is no architecture of this space; the message says where and why, with an example.
        """
        try:
            return self._read(text)
        except ValueError as error:
            example = self.encode(self.sample(np.random.default_rng(0)))
            raise UsageError(f"{text!r} is no architecture of {self.name}: {error}; one would be {example}") from None

    def size(self) -> int:
        """Returns how many encodings there are; several may describe the same function."""
        return math.prod(self.choices)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Draws an architecture, every decision uniformly."""
        return tuple(int(rng.integers(count)) for count in self.choices)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Returns an architecture that differs in exactly one decision, drawn uniformly among those that can go two ways."""
        free = [place for place, count in enumerate(self.choices) if count > 1]
        place = free[int(rng.integers(len(free)))]
        other = int(rng.integers(self.choices[place] - 1))
        return (*genotype[:place], other + (other >= genotype[place]), *genotype[place + 1 :])

    def enumerate(self) -> Iterator[Genotype]:
        """Yields every architecture once, in lexicographic order; lazily, since a space may be beyond all counting."""
        yield from itertools.product(*map(range, self.choices))


SPACES: Registry[type[Space]] = Registry("search space")


def find_space(text: str) -> Space:
    """Returns the search space of a specification such as ``nb201-small`` or ``nb201@channels=8,cells=1``.

    Raises:
        UsageError: Its name or a setting is unknown, or a value is not accepted.
    """
    return parse(SPACES, text)


def read_code(code: str, known: Sequence[str], where: str) -> int:
    """Returns the index of an operation's code.

    Raises:
        ValueError: It is not among those of the space.
    """
    if code not in known:
        raise ValueError(f"{where} is {code!r}, but the operations are {', '.join(known)}")
    return known.index(code)


def split_exactly(text: str, separator: str, count: int, what: str) -> list[str]:
    """Splits a text into so many parts.

    Raises:
        ValueError: There are more or fewer.
    """
    parts = text.split(separator)
    if len(parts) != count:
        raise ValueError(f"it should have {count} {what} between {separator!r}, not {len(parts)}")
    return parts
