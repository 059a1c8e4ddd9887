"""Contests: searches by each ranker, their costs, training of the winners, resuming, and reports."""

import dataclasses
import json

import pytest

from gtn_core.config import to_dict
from gtn_core.errors import GTNError, UsageError
from gtn_sl.nas.contest import DRAWN, Contest, Contestant, hold_contest
from gtn_sl.nas.contest_report import contest_table, write_contest
from gtn_sl.nas.final_training import FinalTraining
from gtn_sl.nas.search import Budget
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.trainings import TRAININGS

SPACE = find_space("nb201-small@channels=3")
QUICK = FinalTraining(epochs=0.2, batch_size=50)
RANKERS = ("parameters", "real@steps=2,batch_size=8")


def contest(**changes):
    settings = {"rankers": RANKERS, "searches": ("random",), "budget": Budget(evaluations=12), "seeds": 2}
    return Contest(SPACE, "digits", **{**settings, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The entries of a finished contest, and its work folder."""
    folder = tmp_path_factory.mktemp("contest")
    return hold_contest(contest(), QUICK, folder), folder


def parameters(encoding):
    module = SPACE.build(SPACE.decode(encoding), (1, 8, 8), 10)
    return sum(p.numel() for p in module.parameters())


def test_winner_of_every_ranker_and_seed_is_trained(whole):
    entries, folder = whole
    assert [entry.ranker.partition("@")[0] for entry in entries] == ["parameters", "real", DRAWN]
    for entry in entries:
        assert len(entry.architectures) == len(entry.accuracies) == 2
        assert all(0 <= value <= 1 for value in entry.accuracies)
    by_size, by_training, drawn = entries
    assert min(map(parameters, by_size.architectures)) > max(map(parameters, drawn.architectures))
    assert [entry.judgements for entry in entries] == [12, 12, 0]
    assert by_training.cpu_seconds > by_size.cpu_seconds > drawn.cpu_seconds == 0
    (trained,) = (folder / TRAININGS).iterdir()
    run = json.loads((trained / f"{drawn.architectures[1]}.json").read_text())["runs"]["0"]
    assert run["test"] == drawn.accuracies[1]


def test_interrupted_contest_resumes_with_same_results(whole, tmp_path):
    def stop_at(stage, count):
        def progress(what, done, of):
            if (what, done) == (stage, count):
                raise KeyboardInterrupt

        return progress

    for stage, count in (("searches", 3), ("trainings", 2)):
        with pytest.raises(KeyboardInterrupt):
            hold_contest(contest(), QUICK, tmp_path, progress=stop_at(stage, count))
    told = []
    again = hold_contest(contest(), QUICK, tmp_path, progress=lambda *what: told.append(what))
    assert told[0] == ("searches", 4, 4)
    for ours, theirs in zip(again, whole[0], strict=True):
        assert (ours.architectures, ours.accuracies) == (theirs.architectures, theirs.accuracies)


def test_contest_runs_all_seeds_of_one_search_before_the_next(tmp_path):
    both = contest(rankers=("parameters",), searches=("random", "evolution"), budget=Budget(evaluations=2))
    hold_contest(both, QUICK, tmp_path)
    written = sorted((tmp_path / "searches").glob("*/search.json"), key=lambda path: path.stat().st_mtime_ns)
    kinds = [json.loads(path.read_text())["search"] for path in written]
    assert kinds == ["random", "random", "evolution", "evolution"]


def test_different_budget_starts_new_searches(whole):
    entries, folder = whole
    more = hold_contest(contest(budget=Budget(evaluations=20), rankers=("parameters",)), QUICK, folder)
    assert more[0].judgements == 20
    assert entries == hold_contest(contest(), QUICK, folder)


def test_invalid_contests_are_rejected(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="a search needs a budget"):
        hold_contest(contest(budget=Budget()), QUICK, tmp_path)
    with pytest.raises(UsageError, match="unknown ranker 'parameter'"):
        hold_contest(contest(rankers=("parameter",)), QUICK, tmp_path)
    (tmp_path / "useless.py").write_text("def ranker(candidate, setting, seed):\n    return float('nan')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GTNError, match="useless:ranker failed on every architecture: the score is nan"):
        hold_contest(contest(rankers=("useless:ranker",)), QUICK, tmp_path)


def test_report_shows_means_over_searches(tmp_path):
    entries = [
        Contestant("teacher@file=runs/a/mnist,steps=32", "random", ("x", "y"), (0.98, 0.99), 40, 61.2, 2600.0),
        Contestant(DRAWN, "", ("z", "x"), (0.9, None)),
    ]
    document = write_contest(tmp_path, entries, {"space": "nb201-small", "task": "mnist", "training": to_dict(QUICK)})
    first, second = contest_table(entries)
    (unknown,) = contest_table([dataclasses.replace(entries[0], paid_before=None)])
    assert unknown["paid before, CPU s"] == "unknown"
    assert first["test accuracy of what it found"] == "98.50% ± 0.71"
    assert (first["worst"], first["judgements"], first["paid before, CPU s"]) == ("98.00%", "40", "2600")
    assert second["test accuracy of what it found"] == "diverged: 1 of 2; others 90.00%"
    written = json.loads((tmp_path / "contest.json").read_text())
    assert written == json.loads(json.dumps(document))
    assert written["entries"][1]["accuracies"] == [0.9, None]
    assert "| teacher (mnist, steps=32) | random | 98.50% ± 0.71 |" in (tmp_path / "contest.md").read_text()
    assert (tmp_path / "contest.png").read_bytes().startswith(b"\x89PNG")
