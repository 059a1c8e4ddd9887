"""Architecture search: spaces, rankers that score architectures cheaply, measures of ranker quality, and searches.

The names in ``__all__`` are public and imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtn_core.lazy_names import lazy_names

if TYPE_CHECKING:
    from gtn_sl.nas.candidate import Candidate, sample_distinct
    from gtn_sl.nas.rankers import Setting, find_ranker
    from gtn_sl.nas.scoring import judgement_seeds, rank
    from gtn_sl.nas.spaces import find_space

_HOMES = {
    "Candidate": "gtn_sl.nas.candidate",
    "Setting": "gtn_sl.nas.rankers",
    "find_ranker": "gtn_sl.nas.rankers",
    "find_space": "gtn_sl.nas.spaces",
    "judgement_seeds": "gtn_sl.nas.scoring",
    "rank": "gtn_sl.nas.scoring",
    "sample_distinct": "gtn_sl.nas.candidate",
}

__all__ = [
    "Candidate",
    "Setting",
    "find_ranker",
    "find_space",
    "judgement_seeds",
    "rank",
    "sample_distinct",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
