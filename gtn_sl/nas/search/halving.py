"""Successive halving (Jamieson and Talwalkar, AISTATS 2016): many architectures at a glance, the better ones more closely."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import Field

from gtn_core.config import Positive, config
from gtn_core.seeding import Streams
from gtn_sl.nas.search.protocol import SEARCHES, Evaluate, Fidelity, Search, rungs_of, unseen
from gtn_sl.nas.spaces import Genotype, Space


@SEARCHES.register("halving")
@config
class SuccessiveHalving(Search):
    """Draws a bracket of architectures, keeps the best of each rung for the next, and begins again while the budget lasts.

    A rung has ``eta`` times the steps of the one before; with a ranker that takes no steps, ``eta`` times the seeds.
    """

    candidates: Positive = 27
    """Architectures of a bracket's first rung."""
    rungs: Positive = 3
    """Rungs; on the last one architectures are judged as winners are chosen."""
    eta: Annotated[int, Field(ge=2)] = 3
    """One in so many gets to the next rung."""

    def run(self, space: Space, best: Fidelity, evaluate: Evaluate, streams: Streams) -> None:
        """See ``Search.run``."""
        fidelities = rungs_of(best, self.rungs, self.eta)
        drawn = unseen(space, streams.numpy("sample"), set())
        while bracket := list(itertools.islice(drawn, self.candidates)):
            for rung, fidelity in enumerate(fidelities):
                if rung:
                    bracket = bracket[: max(1, len(bracket) // self.eta)]
                scores = {genotype: evaluate(genotype, fidelity) for genotype in bracket}
                bracket = _best_first(bracket, scores)


def _best_first(bracket: list[Genotype], scores: dict[Genotype, float]) -> list[Genotype]:
    return sorted(bracket, key=lambda genotype: -scores[genotype])
