"""The contract of every registered ranker."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from gtn_core.errors import DataError
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.nas.candidate import decode_all
from gtn_sl.nas.rankers import RANKERS, Setting, find_ranker
from gtn_sl.nas.scorer import score_folder
from gtn_sl.nas.scoring import rank
from gtn_sl.nas.spaces import find_space
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import save_teacher

REPEATS = sorted(set(RANKERS) - {"equal-time"})
"""Rankers whose score depends only on architecture and seed; that of ``equal-time`` depends on the clock, too."""


@pytest.fixture(scope="module")
def setting():
    return Setting.of(find_space("nb201-small@channels=3"), "digits", images=60)


@pytest.fixture(scope="module")
def architectures(setting):
    return decode_all(setting.space, ["c3-sk.no-c1.a3.c3", "a3-c1.c1-c3.sk.sk"])


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Returns a function that makes a registered ranker as small as its settings allow."""
    settings = {"teacher": {"hidden": 8, "channels": [2, 2], "latent": 4}, "inner": {"steps": 3, "batch_size": 8}}
    config = resolve_config("digits", "fast", settings, {"outer": {"iterations": 0}})
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_teacher(path, seeded_teacher(config, TASKS["digits"], 0), config, {})

    def ranker(name):
        small = {"file": str(path), "steps": 3, "training_steps": 3, "batch_size": 16}
        fields = {field.name for field in dataclasses.fields(RANKERS[name])}
        return dataclasses.replace(find_ranker(name), **{key: value for key, value in small.items() if key in fields})

    return ranker


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_ranker_scores_architectures_and_records_costs(make, setting, architectures, tmp_path, name):
    scores = rank(make(name), architectures, setting, [0, 1], tmp_path)
    assert set(scores.values) == {candidate.encoding for candidate in architectures}
    assert not scores.failures
    assert all(math.isfinite(value) for value in scores.values.values())
    assert scores.costs["cpu_seconds"] > 0
    assert scores.costs["wall_seconds"] > 0
    assert (scores.costs["steps"] > 0) == ("steps" in {field.name for field in dataclasses.fields(RANKERS[name])})
    assert scores.prepared >= 0
    left = score_folder(make(name), setting, tmp_path)
    assert left.encodings() == sorted(scores.values)
    json.dumps(left.identity())


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_missing_images_raise_only_if_ranker_reads_them(make, setting, architectures, tmp_path, name):
    def absent():
        raise DataError("the images are not at hand")

    ranker, nowhere = make(name), dataclasses.replace(setting, load=absent)
    if ranker.reads_images:
        with pytest.raises(DataError, match="not at hand"):
            rank(ranker, architectures, nowhere, [0], tmp_path)
    else:
        assert rank(ranker, architectures, nowhere, [0], tmp_path).failures == {}


@pytest.mark.parametrize("name", REPEATS)
def test_score_depends_only_on_architecture_and_seed(make, setting, architectures, name):
    judges = [make(name).prepare(setting) for _ in range(2)]
    first, second = (judge(architectures[0], 3).value for judge in judges)
    assert first == second
    judges[0](architectures[1], 4)
    assert judges[0](architectures[0], 3).value == first


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_ranker_name_round_trips(make, name):
    ranker = make(name)
    assert find_ranker(ranker.name) == ranker
    assert find_ranker(name).name == name


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_disconnected_network_is_scored_or_fails_alone(make, setting, tmp_path, name):
    blind = decode_all(setting.space, ["no-no.no-no.no.no", "c3-c3.c3-c3.c3.c3"])
    scores = rank(make(name), blind, setting, [0], tmp_path)
    assert scores.order()[-1] == "no-no.no-no.no.no" or not scores.failures
    assert math.isfinite(scores.values["c3-c3.c3-c3.c3.c3"])
