"""The search-space protocol: a fixed number of decisions, their text encoding, and the network that they define."""

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
"""One architecture of a space: the option chosen at each decision, counted from 0."""


class Space(abc.ABC):
    """Base class of search spaces; subclasses are configs, whose fields are the settings of the networks they build.

    A subclass defines ``choices``, ``encode``, ``_read``, ``build`` and ``graphs``; sampling, mutation, counting and
    enumeration follow from the choices.
    """

    @property
    def name(self) -> str:
        """Its specification, as accepted by ``find_space``."""
        return specify(SPACES, self)

    @property
    @abc.abstractmethod
    def choices(self) -> tuple[int, ...]:
        """The number of options of each decision."""

    @abc.abstractmethod
    def encode(self, genotype: Genotype) -> str:
        """Returns the encoding of an architecture: letters, digits and ``.-_`` only, so that it can be a file name."""

    @abc.abstractmethod
    def _read(self, text: str) -> Genotype:
        """Parses an encoding.

        Raises:
            ValueError: The text is not an encoding; the message says where and why.
        """

    @abc.abstractmethod
    def build(self, genotype: Genotype, image_shape: Sequence[int], classes: int) -> nn.Module:
        """Builds the network, with parameters drawn from torch's global generator.

        Args:
            genotype: The architecture.
            image_shape: ``(C, H, W)``.
            classes: Number of logits.
        """

    @abc.abstractmethod
    def graphs(self, genotype: Genotype) -> dict[str, Graph]:
        """Returns the graphs to draw of an architecture, by title."""

    def decode(self, text: str) -> Genotype:
        """Parses an encoding.

        Raises:
            UsageError: The text is not an architecture of this space; the message says where and why, with an example.
        """
        try:
            return self._read(text)
        except ValueError as error:
            example = self.encode(self.sample(np.random.default_rng(0)))
            raise UsageError(
                f"{text!r} is not an architecture of {self.name}: {error}; a valid one is {example}"
            ) from None

    def size(self) -> int:
        """Returns the number of encodings; several may describe the same function."""
        return math.prod(self.choices)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Draws an architecture, with every decision uniformly distributed."""
        return tuple(int(rng.integers(count)) for count in self.choices)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Changes exactly one decision, drawn uniformly from those with more than one option."""
        free = [place for place, count in enumerate(self.choices) if count > 1]
        place = free[int(rng.integers(len(free)))]
        other = int(rng.integers(self.choices[place] - 1))
        return (*genotype[:place], other + (other >= genotype[place]), *genotype[place + 1 :])

    def enumerate(self) -> Iterator[Genotype]:
        """Yields every architecture once, lazily and in lexicographic order."""
        yield from itertools.product(*map(range, self.choices))


SPACES: Registry[type[Space]] = Registry("search space")


def find_space(text: str) -> Space:
    """Returns the search space described by a specification such as ``nb201-small`` or ``nb201@channels=8,cells=1``.

    Raises:
        UsageError: The name or a setting is unknown, or a value is invalid.
    """
    return parse(SPACES, text)


def read_code(code: str, known: Sequence[str], where: str) -> int:
    """Returns the index of an operation's code.

    Raises:
        ValueError: The space has no such operation.
    """
    if code not in known:
        raise ValueError(f"{where} is {code!r}, expected one of {', '.join(known)}")
    return known.index(code)


def split_exactly(text: str, separator: str, count: int, what: str) -> list[str]:
    """Splits a text into exactly ``count`` parts.

    Raises:
        ValueError: There are more or fewer parts.
    """
    parts = text.split(separator)
    if len(parts) != count:
        raise ValueError(f"expected {count} {what} separated by {separator!r}, found {len(parts)}")
    return parts
