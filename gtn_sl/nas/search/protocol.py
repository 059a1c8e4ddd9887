"""The search protocol: an ordinary loop that requests judgements until its budget is spent."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gtn_core.errors import UsageError
from gtn_core.registry import Registry
from gtn_core.seeding import Streams
from gtn_sl.nas.rankers import Ranker
from gtn_sl.nas.spaces import Genotype, Space
from gtn_sl.nas.specification import parse, specify

ATTEMPTS = 1000
"""Consecutive draws without a new architecture after which a search assumes that it has seen all within reach."""


@dataclass(frozen=True)
class Fidelity:
    """How thoroughly an architecture is judged.

    Attributes:
        ranker: The ranker, including its number of steps.
        seeds: Judgements averaged in the score.
    """

    ranker: Ranker
    seeds: int = 1


class Evaluate(Protocol):
    """Judges an architecture and charges the cost to the budget: of each judgement once, however often it is asked for."""

    def __call__(self, genotype: Genotype, fidelity: Fidelity) -> float:
        """Returns the score; minus infinity if a judgement failed.

        Raises:
            BudgetSpent: The budget is spent, or ``ATTEMPTS`` calls in a row asked for nothing new.
        """


class BudgetSpent(Exception):  # noqa: N818 (it ends every search and is no error)
    """The budget of a search is spent, or never will be; either ends it."""


class Search(abc.ABC):
    """Base class of searches; subclasses are configs, whose fields are the settings.

    A search must be a deterministic function of the scores it receives and of ``streams``: an interrupted search is
    resumed by running it again, with stored judgements in place of new ones.
    """

    @property
    def name(self) -> str:
        """Its specification, as accepted by ``find_search``."""
        return specify(SEARCHES, self)

    @abc.abstractmethod
    def run(self, space: Space, best: Fidelity, evaluate: Evaluate, streams: Streams) -> None:
        """Searches until ``evaluate`` raises ``BudgetSpent`` or no new architecture is found.

        Args:
            space: The search space.
            best: The fidelity that decides the winners.
            evaluate: Judges an architecture.
            streams: Random streams.

        Raises:
            BudgetSpent: The budget is spent.
            UsageError: The search and the ranker are incompatible.
        """


SEARCHES: Registry[type[Search]] = Registry("search")


def find_search(text: str) -> Search:
    """Returns the search described by a specification such as ``random`` or ``evolution@population=20``.

    Raises:
        UsageError: The name or a setting is unknown, or a value is invalid.
    """
    return parse(SEARCHES, text)


def unseen(space: Space, rng: np.random.Generator, seen: set[Genotype]) -> Iterator[Genotype]:
    """Yields random architectures not in ``seen`` and adds them to it; ends if ``ATTEMPTS`` draws find none."""
    while len(seen) < space.size():
        for _ in range(ATTEMPTS):
            genotype = space.sample(rng)
            if genotype not in seen:
                break
        else:
            return
        seen.add(genotype)
        yield genotype


def rungs_of(best: Fidelity, count: int, eta: int) -> list[Fidelity]:
    """Returns fidelities from the cheapest to the best, which differ by a factor of ``eta`` in steps.

    If the ranker has no ``steps``, they differ in seeds. There are fewer than ``count`` fidelities if steps or seeds
    cannot be divided that often.

    Raises:
        UsageError: The ranker's ``steps`` is ``None``, i.e. all of its teacher's steps.
    """
    shares = [eta**rung for rung in reversed(range(count))]
    if not hasattr(best.ranker, "steps"):
        return [Fidelity(best.ranker, seeds) for seeds in _distinct(best.seeds, shares)]
    if best.ranker.steps is None:
        raise UsageError(f"successive halving divides a ranker's steps: set them, e.g. {best.ranker.name},steps=32")
    return [
        Fidelity(dataclasses.replace(best.ranker, steps=steps), best.seeds)  # type: ignore[type-var]
        for steps in _distinct(best.ranker.steps, shares)
    ]


def _distinct(most: int, shares: list[int]) -> list[int]:
    return list(dict.fromkeys(max(1, most // share) for share in shares))
