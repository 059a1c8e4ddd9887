"""The contract of every registered search."""

from __future__ import annotations

import pytest

from gtn_sl.nas.rankers import Setting
from gtn_sl.nas.rankers.user import UserRanker
from gtn_sl.nas.search import SEARCHES, Budget, find_search, run_search
from gtn_sl.nas.spaces import find_space


@pytest.fixture(scope="module")
def setting():
    return Setting.of(find_space("macro-small@operations=2"), "digits")


class Counting:
    """A ranker that prefers 3x3 convolutions, counts its calls, fails on some encodings and can be interrupted."""

    def __init__(self, interrupt_at=None):
        self.asked, self.answered, self.interrupt_at = 0, 0, interrupt_at

    def __call__(self, candidate, setting, seed):
        self.asked += 1
        if self.asked == self.interrupt_at:
            raise KeyboardInterrupt
        if candidate.encoding.startswith("m3"):
            raise ValueError("no")
        self.answered += 1
        return candidate.encoding.count("c3") + candidate.encoding.count("s3") / 2


def ranker(function):
    return UserRanker("mine:convolutions", function)


def outcome(found):
    return [(e.architecture, e.value, e.incumbent) for e in found.history], found.winners, found.ledger.evaluations


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_search_spends_budget_and_is_reproducible(setting, tmp_path, name):
    found, again, other = (
        run_search(find_search(name), ranker(Counting()), setting, Budget(evaluations=60), tmp_path / str(i), seed=seed)
        for i, seed in enumerate((3, 3, 4))
    )
    assert len(found.history) == found.ledger.evaluations == 60
    assert outcome(found) == outcome(again)
    assert outcome(found) != outcome(other)
    assert found.winners[0][1] == max(e.value for e in found.history if e.value is not None)
    assert all(not text.startswith("m3") for text, _ in found.winners)
    incumbents = [e.incumbent_value for e in found.history if e.incumbent_value is not None]
    assert incumbents == sorted(incumbents)


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_resumed_search_ends_with_same_result(setting, tmp_path, name):
    first, budget = Counting(), Budget(evaluations=50)
    whole = run_search(find_search(name), ranker(first), setting, budget, tmp_path / "whole")
    folder, parts = tmp_path / "parts", [Counting(stop) for stop in (1, 17, 30)]
    for part in parts:
        with pytest.raises(KeyboardInterrupt):
            run_search(find_search(name), ranker(part), setting, budget, folder)
    rest = Counting()
    resumed = run_search(find_search(name), ranker(rest), setting, budget, folder)
    assert outcome(resumed) == outcome(whole)
    # Nothing that was judged is judged again; architectures that a user's ranker failed on are tried once more.
    assert sum(part.answered for part in (*parts, rest)) == first.answered
    assert rest.asked - rest.answered <= len({e.architecture for e in whole.history if e.value is None})


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_search_ends_when_space_is_exhausted(tmp_path, setting, name):
    tiny = Setting.of(find_space("macro-small@operations=1"), "digits")
    found = run_search(find_search(name), ranker(Counting()), tiny, Budget(evaluations=500), tmp_path)
    assert len({e.architecture for e in found.history}) == 36


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_search_name_round_trips(name):
    assert find_search(name).name == name
