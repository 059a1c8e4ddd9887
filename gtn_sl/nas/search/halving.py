"""Successive halving (Jamieson and Talwalkar, AISTATS 2016): many cheap judgements, costlier ones of the survivors."""

from __future__ import annotations

import itertools
import logging

from gtn_core.config import AtLeastTwo, Positive, config
from gtn_core.seeding import Streams
from gtn_sl.nas.search.protocol import SEARCHES, Evaluate, Fidelity, Search, rungs_of, unseen
from gtn_sl.nas.spaces import Genotype, Space

log = logging.getLogger(__name__)


@SEARCHES.register("halving")
@config
class SuccessiveHalving(Search):
    """Draws a bracket of architectures, promotes the best of each rung to the next, and repeats while the budget lasts.

    Each rung has ``eta`` times the steps of the previous one; with a ranker that takes no steps, ``eta`` times the
    seeds.
    """

    candidates: Positive = 27
    """Architectures on a bracket's first rung."""
    rungs: Positive = 3
    """Number of rungs; the last one judges at the fidelity that decides the winners."""
    eta: AtLeastTwo = 3
    """One in ``eta`` architectures is promoted to the next rung."""

    def run(self, space: Space, best: Fidelity, evaluate: Evaluate, streams: Streams) -> None:
        """See ``Search.run``."""
        fidelities = rungs_of(best, self.rungs, self.eta)
        if len(fidelities) < min(2, self.rungs):
            log.warning(
                "halving has nothing to divide and becomes a random search: %s takes no steps and judges each architecture once;"
                " with several judgements (e.g. nas search --seeds %d), it divides their number",
                best.ranker.name,
                self.eta ** (self.rungs - 1),
            )
        drawn = unseen(space, streams.numpy("sample"), set())
        while bracket := list(itertools.islice(drawn, self.candidates)):
            for rung, fidelity in enumerate(fidelities):
                if rung:
                    bracket = bracket[: max(1, len(bracket) // self.eta)]
                scores = {genotype: evaluate(genotype, fidelity) for genotype in bracket}
                bracket = _best_first(bracket, scores)


def _best_first(bracket: list[Genotype], scores: dict[Genotype, float]) -> list[Genotype]:
    return sorted(bracket, key=lambda genotype: -scores[genotype])
