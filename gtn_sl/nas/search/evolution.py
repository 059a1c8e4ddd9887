"""Regularised evolution (Real et al., *Regularized Evolution for Image Classifier Architecture Search*, AAAI 2019)."""

from __future__ import annotations

from collections import deque

import numpy as np

from gtn_core.config import Positive, config
from gtn_core.seeding import Streams
from gtn_sl.nas.search.protocol import ATTEMPTS, SEARCHES, Evaluate, Fidelity, Search, unseen
from gtn_sl.nas.spaces import Genotype, Space


@SEARCHES.register("evolution")
@config
class RegularisedEvolution(Search):
    """Mutates the winner of a random tournament; the child replaces the oldest member, however good that one is."""

    population: Positive = 20
    """Size of the population; the first members are drawn at random."""
    tournament: Positive = 5
    """Members drawn, with replacement, for each tournament; the best becomes the parent."""

    def run(self, space: Space, best: Fidelity, evaluate: Evaluate, streams: Streams) -> None:
        """See ``Search.run``."""
        rng, seen = streams.numpy("evolution"), set[Genotype]()
        alive: deque[tuple[float, Genotype]] = deque(maxlen=self.population)
        drawn = unseen(space, streams.numpy("sample"), seen)
        while len(alive) < self.population and (genotype := next(drawn, None)) is not None:
            alive.append((evaluate(genotype, best), genotype))
        while (child := self._child(space, alive, rng, seen)) is not None:
            alive.append((evaluate(child, best), child))

    def _child(
        self,
        space: Space,
        alive: deque[tuple[float, Genotype]],
        rng: np.random.Generator,
        seen: set[Genotype],
    ) -> Genotype | None:
        """Returns a mutation that has not been judged yet, or ``None`` if ``ATTEMPTS`` draws find none."""
        for _ in range(ATTEMPTS):
            chosen = rng.integers(len(alive), size=self.tournament)
            _, parent = max((alive[index] for index in chosen), key=lambda member: member[0])
            child = space.mutate(parent, rng)
            if child not in seen:
                seen.add(child)
                return child
        return None
