"""Random search, the baseline for every other search."""

from __future__ import annotations

from gtn_core.config import config
from gtn_core.seeding import Streams
from gtn_sl.nas.search.protocol import SEARCHES, Evaluate, Fidelity, Search, unseen
from gtn_sl.nas.spaces import Space


@SEARCHES.register("random")
@config
class RandomSearch(Search):
    """Judges distinct architectures drawn at random."""

    def run(self, space: Space, best: Fidelity, evaluate: Evaluate, streams: Streams) -> None:
        """See ``Search.run``."""
        for genotype in unseen(space, streams.numpy("sample"), set()):
            evaluate(genotype, best)
