"""What the commands of ``gtn-cli nas`` call: names in place of objects, listeners, and what is passed from one to the next."""

import json

import pytest

from gtn_core.errors import DataError, UsageError
from gtn_sl import load_learner, nas

DIGITS = {"space": "nb201-small@channels=3", "task": "digits"}
FULL, SPARSE = "c3-c3.c3-c3.c3.c3", "c3-sk.no-c1.a3.c3"
QUICK = nas.FinalTraining(epochs=0.1, batch_size=50)


def test_single_names_are_taken_and_judgements_counted(tmp_path):
    told = []

    def rank(rankers, architectures):
        return nas.rank_architectures(
            rankers, architectures, **DIGITS, count=1, seeds=2, out=tmp_path, listener=lambda *what: told.append(what)
        )

    (scores,) = rank("random", SPARSE)
    assert next(iter(scores.values)) == SPARSE
    assert len(scores.values) == 2
    assert told == [("random", done, 4) for done in range(5)]
    assert rank(["random"], [SPARSE, SPARSE]) == [scores]


def test_winners_of_search_can_be_trained_and_loaded(tmp_path):
    told = []
    found = nas.search_architectures(
        "parameters",
        nas.Budget(evaluations=4),
        search="random",
        **DIGITS,
        out=str(tmp_path),
        listener=lambda evaluation, share: told.append(share),
        command="a test",
    )
    assert told == [0.25, 0.5, 0.75, 1.0]
    kept = nas.read_search(found["folder"])
    assert kept == found
    assert (kept["space"], kept["budget"]["evaluations"], kept["command"]) == (DIGITS["space"], 4, "a test")
    best = kept["winners"][0][0]
    trained = nas.train_architectures(
        best, space=kept["space"], task=kept["task"], settings=QUICK, seeds=1, out=tmp_path
    )
    network = load_learner(f"{trained['networks']}/{best}-0.safetensors")
    assert network.document["test_accuracy"] == trained["results"][best][0]["test"]


def test_search_on_other_images_is_not_read(tmp_path):
    document = {"space": "nb201-small", "task": "digits", "data": "other", "winners": [[FULL, 1.0]]}
    (tmp_path / "search.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="images of digits differ"):
        nas.read_search(tmp_path)
    (tmp_path / "search.json").write_text(json.dumps({**document, "winners": [FULL]}))
    with pytest.raises(UsageError, match="is not a folder of gtn-cli nas search"):
        nas.read_search(tmp_path)


def test_rankers_are_compared_on_ground_truth_by_name(tmp_path):
    comparison = nas.correlate_rankers(("parameters", "flops"), out=tmp_path)  # the shipped truth; neither reads images
    assert {row.ranker for row in comparison.rows} == {"parameters", "flops"}
    assert comparison.truth == nas.find_ground_truth("nb201-small-mnist")
    assert (tmp_path / "correlate.md").is_file()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda out: nas.rank_architectures("random", out=out), "no architectures given"),
        (lambda out: nas.rank_architectures("random", count=0, out=out), "count must be a positive integer, got 0"),
        (lambda out: nas.rank_architectures("random", FULL, seeds=2.5, out=out), "seeds must be a positive integer"),
        (lambda out: nas.rank_architectures([], FULL, out=out), "no rankers given"),
        (lambda out: nas.correlate_rankers("random", seeds=0, out=out), "seeds must be a positive integer"),
        (lambda out: nas.contest_rankers([], nas.Budget(steps=1), out=out), "no rankers given"),
        (lambda out: nas.search_architectures("random", nas.Budget(), out=out), "a search needs a budget"),
        (
            lambda out: nas.search_architectures("random", nas.Budget(steps=1), seeds=0, out=out),
            "seeds must be a positive integer",
        ),
        (lambda out: nas.train_architectures(FULL, workers=0, out=out), "workers must be a positive integer"),
        (lambda out: nas.train_architectures(FULL, task="digit", out=out), "did you mean 'digits'"),
        (lambda out: nas.make_ground_truth(count=0, out=out), "count must be a positive integer"),
        (
            lambda out: nas.contest_rankers("random", nas.Budget(), trainings=0, out=out),
            "trainings must be a positive integer",
        ),
        (lambda out: nas.contest_rankers("randm", nas.Budget(steps=1), out=out), "did you mean 'random'"),
        (lambda out: nas.correlate_rankers("random", truth="nowhere", out=out), "unknown ground truth 'nowhere'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments_are_rejected_before_anything_is_written(tmp_path, call, words):
    with pytest.raises(UsageError, match=words):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []
