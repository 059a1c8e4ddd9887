"""Candidates: architectures of a search space, which are sampled, ranked, searched for and trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gtn_core.counts import require_counts
from gtn_core.errors import UsageError
from gtn_core.learner import Layout, Learner, fresh_learner
from gtn_core.seeding import Streams, seeded
from gtn_sl.data import ImageTask, find_task
from gtn_sl.nas.spaces import Genotype, Space
from gtn_sl.nas.specification import each_of

PREFIX = "nas"
"""Prefix of the names of learners from a search space."""


@dataclass(frozen=True)
class Candidate:
    """One architecture.

    Attributes:
        space: Its search space.
        genotype: The choice made at each decision.
    """

    space: Space
    genotype: Genotype

    @property
    def encoding(self) -> str:
        """Its text form, unique within the space."""
        return self.space.encode(self.genotype)

    @property
    def learner(self) -> str:
        """Its learner name, as accepted by ``gtn_sl.learners.architecture``."""
        return f"{PREFIX}:{self.space.name}:{self.encoding}"

    def fresh(self, task: ImageTask, seed: int, layout: Layout = "contiguous") -> tuple[Learner, Tensor]:
        """Returns the network as a pure learner and its initial parameters, shape ``(D,)``, determined by ``seed``."""
        return fresh_learner(lambda: self.space.build(self.genotype, task.image_shape, task.classes), seed, layout)

    def module(self, task: ImageTask, seed: int) -> nn.Module:
        """Returns the network as an ordinary module in training mode, with the initial parameters of ``fresh``."""
        with seeded(seed):
            return self.space.build(self.genotype, task.image_shape, task.classes).train()


def decode_all(space: Space, encodings: Iterable[str]) -> list[Candidate]:
    """Decodes encodings.

    Raises:
        UsageError: An encoding is not an architecture of the space.
    """
    return [Candidate(space, space.decode(text)) for text in encodings]


def choose(space: Space, encodings: str | Iterable[str], count: int | None, seed: int) -> list[Candidate]:
    """Returns named architectures, followed by others that are drawn.

    Args:
        space: The search space.
        encodings: The named ones; repeats count once.
        count: Number of architectures to draw; ``None`` for none.
        seed: Seed of the draw.

    Raises:
        UsageError: An encoding is not an architecture of the space, the space has too few, or none was asked for.
    """
    named = decode_all(space, dict.fromkeys(each_of(encodings)))
    if not named and count is None:
        raise UsageError("no architectures given: name them (--architecture ENCODING, or --count N to draw some)")
    if count is None:
        return named
    require_counts(count=count)
    return [*named, *sample_distinct(space, count, Streams(seed).numpy("architectures"), named)]


def sample_distinct(
    space: Space, count: int, rng: np.random.Generator, without: Sequence[Candidate] = ()
) -> list[Candidate]:
    """Draws distinct architectures.

    Args:
        space: The search space.
        count: Number of architectures.
        rng: Random number generator.
        without: Architectures to exclude.

    Raises:
        UsageError: The space has too few architectures.
    """
    if count + len(without) > space.size():
        raise UsageError(f"{space.name} has only {space.size()} architectures, not {count + len(without)}")
    seen = {candidate.genotype for candidate in without}
    drawn: list[Candidate] = []
    while len(drawn) < count:
        genotype = space.sample(rng)
        if genotype not in seen:
            seen.add(genotype)
            drawn.append(Candidate(space, genotype))
    return drawn


def sample_seeing(space: Space, task: str, count: int, rng: np.random.Generator) -> list[Candidate]:
    """Draws distinct architectures whose logits depend on the image; the others are too easy to rank.

    Args:
        space: The search space.
        task: Name of the task, for its image shape.
        count: Number of architectures.
        rng: Random number generator.

    Raises:
        UsageError: The task is unknown, or the space has too few such architectures.
    """
    drawn: list[Candidate] = []
    seeing: list[Candidate] = []
    while len(seeing) < count:
        more = sample_distinct(space, count - len(seeing), rng, without=drawn)
        drawn += more
        seeing += [candidate for candidate in more if sees(candidate, task)]
    return seeing


def sees(candidate: Candidate, task: str) -> bool:
    """Returns whether an untrained network's logits differ between images, tested on four random ones."""
    found = find_task(task)
    module = candidate.module(found, 0)
    with torch.no_grad():
        logits = module(torch.randn(4, *found.image_shape, generator=torch.Generator().manual_seed(0)))
    return bool((logits.std(dim=0) > 0).any())
