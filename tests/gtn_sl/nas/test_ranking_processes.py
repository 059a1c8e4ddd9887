"""Ranking on several processes: scores as on one, division of the work, failures, and the files of rank 0."""

import json

import pytest

from gtn_core.seeding import Streams
from gtn_sl.nas import correlate_rankers
from gtn_sl.nas.candidate import sample_distinct
from gtn_sl.nas.rankers import Setting, find_ranker
from gtn_sl.nas.rankers.user import UserRanker
from gtn_sl.nas.scoring import rank
from gtn_sl.nas.spaces import find_space

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SPACE = find_space("nb201-small@channels=3")
FIVE = sample_distinct(SPACE, 5, Streams(0).numpy("five"))


def judged(world, name, folder):
    """Ranks five architectures; returns scores, failures and the number of progress calls."""
    told = []
    setting = Setting.of(SPACE, "digits", images=100)
    scores = rank(find_ranker(name), FIVE, setting, [0, 1], folder, lambda: told.append(1), world)
    return scores.values, scores.failures, len(told)


def failing(world, folder):
    """Ranks with a function that fails on one architecture; returns what this process judged, and the failures."""
    asked = []

    def judge(candidate, setting, seed):
        asked.append(candidate.encoding)
        return float("nan") if candidate == FIVE[3] else float(len(asked))

    setting = Setting.of(SPACE, "digits", images=100)
    scores = rank(UserRanker("mine:judge", judge), FIVE, setting, [0], folder, world=world)
    return asked, list(scores.failures)


def correlated(world, folder):
    """Correlates a ranker that needs no images with the shipped truth; returns rankers, correlations and judgements told."""
    told = []
    comparison = correlate_rankers("parameters", out=folder, listener=lambda *what: told.append(what), world=world)
    return [(row.ranker, row.everything.spearman.value, row.scores.tolist()) for row in comparison.rows], told[-1]


def unable(world, folder):
    """Ranks with a teacher that does not exist; returns the type of the exception."""
    setting = Setting.of(SPACE, "digits", images=100)
    with pytest.raises(Exception, match="nowhere") as caught:
        rank(find_ranker("teacher@file=nowhere"), FIVE, setting, [0], folder, world=world)
    return type(caught.value).__name__


@pytest.mark.parametrize("name", ["real@steps=2,batch_size=8", "supernet@training_steps=3,batch_size=8"])
def test_two_processes_give_same_scores_as_one(in_processes, tmp_path, name):
    alone = judged(None, name, tmp_path / "one")
    assert in_processes(2, judged, name, tmp_path / "two") == [alone, alone]
    (folder,) = (tmp_path / "two" / "scores").iterdir()
    (folder / f"{FIVE[0].encoding}.json").write_text("{")  # damaged: judged again
    assert in_processes(2, judged, name, tmp_path / "two") == [alone, alone]


def test_ranks_divide_judgements_and_share_failures(in_processes, tmp_path):
    (ours, failed), (theirs, also) = in_processes(2, failing, tmp_path)
    assert ours == [FIVE[0].encoding, FIVE[2].encoding, FIVE[4].encoding]
    assert theirs == [FIVE[1].encoding, FIVE[3].encoding]
    assert failed == also == [FIVE[3].encoding]
    (folder,) = (tmp_path / "scores").iterdir()
    assert json.loads((folder / f"{FIVE[3].encoding}.json").read_text())["runs"]["0"]["failure"] == "the score is nan"


def test_every_process_returns_same_comparison_as_one(in_processes, tmp_path):
    alone = correlated(None, tmp_path / "one")
    ours, theirs = in_processes(2, correlated, tmp_path / "two")
    assert alone == ours == theirs
    assert (tmp_path / "two" / "correlate.json").is_file()


def test_missing_teacher_raises_same_error_on_every_rank(in_processes, tmp_path):
    assert len(set(in_processes(2, unable, tmp_path))) == 1
