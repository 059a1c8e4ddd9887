"""Architecture search: spaces, rankers that score architectures cheaply, measures of ranker quality, and searches.

The names in ``__all__`` are public and imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gtn_core.lazy_names import lazy_names

if TYPE_CHECKING:
    from gtn_sl.nas.candidate import Candidate, sample_distinct
    from gtn_sl.nas.comparison import Comparison
    from gtn_sl.nas.comparison_folder import correlate_rankers
    from gtn_sl.nas.final_training import FinalTraining
    from gtn_sl.nas.ground_truth import find_ground_truth, make_ground_truth
    from gtn_sl.nas.rankers import Setting, find_ranker
    from gtn_sl.nas.ranking import rank_architectures
    from gtn_sl.nas.recorded_contest import contest_rankers
    from gtn_sl.nas.scoring import Scores, judgement_seeds, rank
    from gtn_sl.nas.search import Budget, read_search, search_architectures
    from gtn_sl.nas.spaces import find_space
    from gtn_sl.nas.trainings import train_architectures

_HOMES = {
    "Budget": "gtn_sl.nas.search",
    "Candidate": "gtn_sl.nas.candidate",
    "Comparison": "gtn_sl.nas.comparison",
    "FinalTraining": "gtn_sl.nas.final_training",
    "Scores": "gtn_sl.nas.scoring",
    "Setting": "gtn_sl.nas.rankers",
    "contest_rankers": "gtn_sl.nas.recorded_contest",
    "correlate_rankers": "gtn_sl.nas.comparison_folder",
    "find_ground_truth": "gtn_sl.nas.ground_truth",
    "find_ranker": "gtn_sl.nas.rankers",
    "find_space": "gtn_sl.nas.spaces",
    "judgement_seeds": "gtn_sl.nas.scoring",
    "make_ground_truth": "gtn_sl.nas.ground_truth",
    "rank": "gtn_sl.nas.scoring",
    "rank_architectures": "gtn_sl.nas.ranking",
    "read_search": "gtn_sl.nas.search",
    "sample_distinct": "gtn_sl.nas.candidate",
    "search_architectures": "gtn_sl.nas.search",
    "train_architectures": "gtn_sl.nas.trainings",
}

__all__ = [
    "Budget",
    "Candidate",
    "Comparison",
    "FinalTraining",
    "Scores",
    "Setting",
    "contest_rankers",
    "correlate_rankers",
    "find_ground_truth",
    "find_ranker",
    "find_space",
    "judgement_seeds",
    "make_ground_truth",
    "rank",
    "rank_architectures",
    "read_search",
    "sample_distinct",
    "search_architectures",
    "train_architectures",
]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
