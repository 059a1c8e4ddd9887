"""Ranking by several processes: the scores of one, each architecture judged once, and the first process's files."""

import json

import pytest

from gtn_core.seeding import Streams
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
    """Ranks five architectures; returns scores, failures and how often progress was told."""
    told = []
    setting = Setting.of(SPACE, "digits", images=100)
    scores = rank(find_ranker(name), FIVE, setting, [0, 1], folder, lambda: told.append(1), world)
    return scores.values, scores.failures, len(told)


def failing(world, folder):
    """Ranks by a function that fails on one architecture, and counts the judgements of this process."""
    asked = []

    def judge(candidate, setting, seed):
        asked.append(candidate.encoding)
        return float("nan") if candidate == FIVE[3] else float(len(asked))

    setting = Setting.of(SPACE, "digits", images=100)
    scores = rank(UserRanker("mine:judge", judge), FIVE, setting, [0], folder, world=world)
    return asked, list(scores.failures)


def unable(world, folder):
    """Asks for a teacher that is not there."""
    setting = Setting.of(SPACE, "digits", images=100)
    with pytest.raises(Exception, match="nowhere") as caught:
        rank(find_ranker("teacher@file=nowhere"), FIVE, setting, [0], folder, world=world)
    return type(caught.value).__name__


@pytest.mark.parametrize("name", ["real@steps=2,batch_size=8", "supernet@training_steps=3,batch_size=8"])
def test_two_processes_find_what_one_does(in_processes, tmp_path, name):
    alone = judged(None, name, tmp_path / "one")
    assert in_processes(2, judged, name, tmp_path / "two") == [alone, alone]
    (folder,) = (tmp_path / "two" / "scores").iterdir()
    (folder / f"{FIVE[0].encoding}.json").write_text("{")  # damaged: judged again
    assert in_processes(2, judged, name, tmp_path / "two") == [alone, alone]


def test_each_judges_its_part_and_a_failure_is_all_theirs(in_processes, tmp_path):
    (ours, failed), (theirs, also) = in_processes(2, failing, tmp_path)
    assert ours == [FIVE[0].encoding, FIVE[2].encoding, FIVE[4].encoding]
    assert theirs == [FIVE[1].encoding, FIVE[3].encoding]
    assert failed == also == [FIVE[3].encoding]
    (folder,) = (tmp_path / "scores").iterdir()
    assert json.loads((folder / f"{FIVE[3].encoding}.json").read_text())["runs"]["0"]["failure"] == "the score is nan"


def test_a_ranker_that_cannot_judge_ends_all(in_processes, tmp_path):
    assert len(set(in_processes(2, unable, tmp_path))) == 1
