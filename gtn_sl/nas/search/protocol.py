"""What a search is: an ordinary loop that asks for judgements until its budget is spent."""

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
"""How often a search draws before it believes that it has seen everything that it can reach."""


@dataclass(frozen=True)
class Fidelity:
    """How closely an architecture is looked at.

    Attributes:
        ranker: By whom.
        seeds: Judgements that the score is the mean of.
    """

    ranker: Ranker
    seeds: int = 1


class Evaluate(Protocol):
    """Judges an architecture, and takes the cost from the budget."""

    def __call__(self, genotype: Genotype, fidelity: Fidelity) -> float:
        """Returns the score; minus infinity where the judgement failed.

        Raises:
            BudgetSpent: Nothing is left to pay it with.
        """


class BudgetSpent(Exception):  # noqa: N818 (it ends every search and is no error)
    """A search has come to its end."""


class Search(abc.ABC):
    """One way to search; its subclasses are configs, whose fields are its settings.

    What it does must follow from the scores that it gets and from ``streams`` alone: a search that was interrupted is resumed by
    running it again, with the judgements that are kept in place of new ones.
    """

    @property
    def name(self) -> str:
        """Its specification, which ``find_search`` reads."""
        return specify(SEARCHES, self)

    @abc.abstractmethod
    def run(self, space: Space, best: Fidelity, evaluate: Evaluate, streams: Streams) -> None:
        """Searches until ``evaluate`` raises ``BudgetSpent``, or until there is nothing new to look at.

        Args:
            space: Where.
            best: The fidelity that winners are chosen by.
            evaluate: Judges.
            streams: Source of randomness.
        """


SEARCHES: Registry[type[Search]] = Registry("search")


def find_search(text: str) -> Search:
    """Returns the search of a specification such as ``random`` or ``evolution@population=20``.

    Raises:
        UsageError: Its name or a setting is unknown, or a value is not accepted.
    """
    return parse(SEARCHES, text)


def unseen(space: Space, rng: np.random.Generator, seen: set[Genotype]) -> Iterator[Genotype]:
    """Yields architectures that are not in ``seen`` and adds them; ends where drawing finds nothing new any more."""
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
    """Returns fidelities from the coarsest to the best: ``eta`` times fewer steps each, or seeds where a ranker takes no steps.

    There are fewer than ``count`` where steps or seeds cannot be divided so often.

    Raises:
        UsageError: The ranker's steps are its teacher's, whose number has to be given.
    """
    shares = [eta**rung for rung in reversed(range(count))]
    if not hasattr(best.ranker, "steps"):
        return [Fidelity(best.ranker, seeds) for seeds in _distinct(best.seeds, shares)]
    if best.ranker.steps is None:
        raise UsageError(f"successive halving divides a ranker's steps: give them, as {best.ranker.name},steps=32")
    return [
        Fidelity(dataclasses.replace(best.ranker, steps=steps), best.seeds)  # type: ignore[type-var]
        for steps in _distinct(best.ranker.steps, shares)
    ]


def _distinct(most: int, shares: list[int]) -> list[int]:
    return list(dict.fromkeys(max(1, most // share) for share in shares))
