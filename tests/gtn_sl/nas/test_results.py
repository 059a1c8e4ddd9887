"""Result folders: concurrent writers, and results that replace earlier ones."""

from gtn_core.workers import run_jobs
from gtn_sl.nas.results import ResultFolder

SEEDS = 20


def write_one_by_one(job):
    path, first = job
    results = ResultFolder(path)
    for seed in range(first, first + SEEDS):
        results.write("one", {seed: {"value": seed, "failure": None}})


def test_concurrent_writers_keep_each_others_results(tmp_path):
    run_jobs(write_one_by_one, [(tmp_path, 0), (tmp_path, 100)], 2, lambda job, result: None)
    assert set(ResultFolder(tmp_path).read("one")) == {*range(SEEDS), *range(100, 100 + SEEDS)}


def test_new_result_replaces_old_one_of_same_seed(tmp_path):
    results = ResultFolder(tmp_path)
    for value in (1, 2):
        results.write("one", {0: {"value": value, "failure": None}})
    assert results.read("one")[0]["value"] == 2
    assert results.encodings() == ["one"]
