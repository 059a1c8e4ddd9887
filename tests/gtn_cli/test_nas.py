"""``gtn-cli nas``, as a user calls it, on a small space and a task that take seconds."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from gtn_cli.commands.nas import COMMANDS
from gtn_cli.commands.nas.choices import RANKERS, SEARCHES, SPACES

SPACE = ("--space", "nb201-small@channels=3")
DIGITS = (*SPACE, "--task", "digits")
QUICK = ("--set", "epochs=0.2", "--set", "batch_size=50")
FULL, SPARSE = "c3-c3.c3-c3.c3.c3", "c3-sk.no-c1.a3.c3"


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """File of a small ground truth."""
    from gtn_cli.main import main

    out = tmp_path_factory.mktemp("truth")
    with pytest.raises(SystemExit) as caught:
        main(["nas", "ground-truth", *DIGITS, "--count", "7", "--seeds", "2", *QUICK, "--out", str(out), "--quiet"])
    assert caught.value.code == 0
    return out / "nb201-small-channels=3-digits.json"


def test_search_on_changed_images_does_not_replace_earlier_one(call, tmp_path, monkeypatch):
    folder, labels = tmp_path / "here", np.arange(40) % 2
    folder.mkdir()
    monkeypatch.chdir(folder)

    def search(images, path):
        np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
        given = ("--ranker", "parameters", "--evaluations", 2, "--search", "random", "--out", tmp_path / "out")
        return call("nas", "search", *SPACE, "--task", path, *given, "--json")

    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    assert search(images, "../greys.npz").json["task"] == str(tmp_path / "greys.npz")
    assert search(images, tmp_path / "greys.npz").code == 0
    outcome = search(images // 2, "../greys.npz")
    assert (outcome.code, "already holds a search with data " in outcome.err) == (2, True), outcome.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_has_examples(call, name):
    outcome = call("nas", name, "--help")
    assert outcome.code == 0
    assert f"gtn-cli nas {name}" in outcome.out


def test_names_in_help_match_registries():
    from gtn_sl.nas.rankers import RANKERS as REGISTERED
    from gtn_sl.nas.search import SEARCHES as WAYS
    from gtn_sl.nas.spaces import SPACES as KNOWN

    assert set(RANKERS) == set(REGISTERED)
    assert set(SPACES) == set(KNOWN)
    assert set(SEARCHES) == set(WAYS)


def test_list_shows_all_names_and_the_settings_of_one(call):
    shown = call("nas", "list").out
    assert all(name in shown for name in (*SPACES, *RANKERS, *SEARCHES))
    assert "Initial learning rate" in call("nas", "list", "real").out
    inherited = call("nas", "list", "nb201-small", "--json").json["search space"]["nb201-small"]["settings"]
    assert inherited["channels"]["default"] == "8"
    assert "Channels" in inherited["channels"]["text"]


def test_sample_shows_sizes_and_draws_architectures(call, tmp_path):
    outcome = call("nas", "sample", *DIGITS, "--architecture", FULL, "--count", 2, "--draw", tmp_path / "p", "--json")
    rows = outcome.json["architectures"]
    assert rows[0]["architecture"] == FULL
    assert rows[0]["parameters"] > rows[1]["parameters"] > 0
    assert len(list((tmp_path / "p").glob("*.png"))) == len(list((tmp_path / "p").glob("*.dot"))) == 3
    assert "1 of 15,625" in call("nas", "sample", *DIGITS, "--count", 1).out


def test_rank_orders_architectures_and_regenerates_damaged_file(call, tmp_path):
    given = ("nas", "rank", *DIGITS, "--architecture", SPARSE, "--architecture", FULL, "--out", tmp_path)
    document = call(*given, "--ranker", "parameters", "--ranker", "naswot@batch_size=8", "--json").json
    assert list(document[0]["values"]) == [FULL, SPARSE]
    assert document[1]["failures"] == {}
    shown = call(*given, "--ranker", "parameters")
    assert shown.out.index(FULL) < shown.out.index(SPARSE)
    (broken,) = tmp_path.glob(f"scores/parameters-*/{FULL}.json")
    broken.write_text("{")
    again = call(*given, "--ranker", "parameters")
    assert again.code == 0
    assert "is damaged" in " ".join(again.err.split())
    assert json.loads(broken.read_text())["architecture"] == FULL


def test_rank_puts_failed_architectures_last(call, tmp_path, monkeypatch):
    source = "def score(candidate, setting, seed):\n    return {'c3-sk.no-c1.a3.c3': 1.0}[candidate.encoding]\n"
    (tmp_path / "own_ranker.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("--architecture", FULL, "--architecture", SPARSE, "--ranker", "own_ranker:score", "--out", tmp_path)
    outcome = call("nas", "rank", *DIGITS, *arguments)
    assert outcome.code == 0
    assert outcome.out.index(SPARSE) < outcome.out.index(FULL)
    assert "KeyError" in outcome.out


def test_correlate_includes_rankers_of_earlier_calls(call, truth, tmp_path):
    given = ("nas", "correlate", "--truth", truth, "--out", tmp_path)
    first = call(*given, "--ranker", "parameters", "--ranker", "synflow", "--json").json
    assert {row["ranker"] for row in first["rows"]} == {"parameters", "synflow"}
    assert first["ceiling"]["between_seeds"] is not None
    outcome = call(*given, "--ranker", "random")
    assert all(words in outcome.out for words in ("random", "synflow", "ceiling", "report"))
    written = {path.name for path in tmp_path.iterdir()}
    assert written >= {"correlate.md", "correlate.json", "correlations.png", "scores.png", "cost.png"}
    (tmp_path / "correlate.md").unlink()
    assert "synflow" in call("nas", "report", tmp_path).out
    assert (tmp_path / "correlate.md").is_file()
    assert "gtn-cli nas correlate" in (tmp_path / "correlate.md").read_text()
    other = call("nas", "correlate", "--ranker", "parameters", "--out", tmp_path)
    assert other.code == 2
    assert "another folder (--out)" in other.err
    again = call(*given, "--ranker", "random", "--seed", 1)
    assert "random [seed 0]" in again.out
    assert "random [seed 1]" in again.out


def test_correlate_plots_correlation_against_steps(call, truth, tmp_path):
    given = ("nas", "correlate", "--truth", truth, "--ranker", "parameters", "--out", tmp_path)
    assert call(*given, "--ranker", "real@steps=1,batch_size=8").code == 0
    assert not (tmp_path / "steps.png").exists()
    assert call(*given, "--ranker", "real@steps=2,batch_size=8").code == 0
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.glob("tensorboard/real-batch_size=8/events*"))
    assert list(tmp_path.glob("scores/real-*/tensorboard/events*"))


def test_check_retrains_and_compares_architectures(call, truth, tmp_path):
    given = ("nas", "check", "--truth", truth, "--count", 2, "--out", tmp_path)
    same = call(*given, "--training-seed", 1, "--json").json["checks"]
    assert len(same) == 2
    assert all(check["accuracy"] == check["known"] for check in same)
    other = call(*given)
    assert other.code == (0 if "2 of 2 lie" in other.out else 1)
    assert "(seed 2)" in other.out
    assert "of 2 lie within the noise between seeds" in other.out
    assert len(list(tmp_path.glob("trainings/*/*-*.json"))) >= 2


def test_check_tells_how_many_trainings_it_read_from_folder(call, truth, tmp_path):
    given = ("nas", "check", "--truth", truth, "--training-seed", 1, "--out", tmp_path)
    assert "were read from" not in call(*given, "--count", 1).out
    assert f"1 of 1 trainings were read from {tmp_path}" in " ".join(call(*given, "--count", 1).out.split())
    assert call(*given, "--count", 1, "--json").json["read"] == 1


def test_check_retrains_also_in_folder_of_ground_truth(call, truth, tmp_path):
    out = shutil.copytree(truth.parent, tmp_path / "copy")
    kept = [file for file in (out / "trainings").glob("*/*.json") if file.name != "made-by.json"]
    for file in kept:
        file.write_text(re.sub(r'"test": [0-9.e-]+', '"test": 9.0', file.read_text()))  # no training gives this
    (same,) = call("nas", "check", "--truth", truth, "--count", 1, "--training-seed", 1, "--out", out, "--json").json[
        "checks"
    ]
    assert len(kept) == 7
    assert same["accuracy"] == same["known"]


def test_check_fails_if_an_architecture_disagrees(call, truth, tmp_path):
    document = json.loads(truth.read_text())
    for entry in document["architectures"].values():
        entry["test"] = [0.99, 0.991]
    (tmp_path / "wrong.json").write_text(json.dumps(document))
    given = ("nas", "check", "--truth", tmp_path / "wrong.json", "--count", 1, "--out", tmp_path)
    wrong = call(*given)
    assert wrong.code == 1
    assert "0 of 1 lie within the noise" in wrong.out
    again = call(*given, "--json")
    assert (again.code, again.json["checks"][0]["agrees"]) == (1, False)


def test_contest_runs_on_several_workers_and_resumes(call, tmp_path):
    given = ("nas", "contest", *DIGITS, "--ranker", "parameters", "--ranker", "synflow", "--search", "random")
    given = (*given, "--search", "evolution@population=2", "--evaluations", 4, "--seeds", 2, *QUICK, "--out", tmp_path)
    document = call(*given, "--workers", 2, "--json").json
    sides = [(entry["ranker"], entry["search"].partition("@")[0]) for entry in document["entries"]]
    both = [(ranker, search) for ranker in ("parameters", "synflow") for search in ("random", "evolution")]
    assert sides == [*both, ("drawn at random", "")]
    assert all(len(entry["accuracies"]) == 2 for entry in document["entries"])
    assert document["budget"] == {"evaluations": 4}
    again = call(*given)
    assert "2 searches each" in again.out
    assert str(tmp_path / "contest.png") in again.out
    assert json.loads((tmp_path / "contest.json").read_text())["entries"] == document["entries"]
    (tmp_path / "contest.md").unlink()
    assert "synflow" in call("nas", "report", tmp_path).out
    assert (tmp_path / "contest.md").is_file()
    of_mnist = call(
        "nas", "contest", *SPACE, "--task", "mnist", "--ranker", "parameters", "--evaluations", 4, "--out", tmp_path
    )
    assert of_mnist.code == 2
    assert "already holds a contest of nb201-small@channels=3 on digits; choose another folder" in of_mnist.err


def test_ground_truth_is_not_replaced_by_different_trainings(call, truth):
    before = truth.read_bytes()
    given = ("nas", "ground-truth", *DIGITS, "--count", 7, "--set", "epochs=3", "--out", truth.parent)
    refused = call(*given)
    assert refused.code == 2
    assert "already holds a ground truth of other trainings or images; choose another folder" in refused.err
    assert truth.read_bytes() == before


def test_ground_truth_may_only_grow(call, tmp_path):
    def made(*changes):
        return call("nas", "ground-truth", *DIGITS, *QUICK, "--out", tmp_path, "--seeds", 2, *changes, "--json")

    path = Path(made("--count", 7).json["file"])
    small = json.loads(path.read_text())["architectures"]
    for changes in (("--count", 6), ("--count", 7, "--seed", 1), ("--count", 7, "--seeds", 1)):
        before, refused = path.read_bytes(), made(*changes)
        assert refused.code == 2
        assert "already holds a ground truth of 7 architectures with 2 seeds each" in refused.err
        assert path.read_bytes() == before
    assert made("--count", 8, "--seeds", 3).json["architectures"] == 8
    large = json.loads(path.read_text())["architectures"]
    assert all(large[encoding]["test"][:2] == entry["test"] for encoding, entry in small.items())


def test_train_accepts_winner_of_search(call, tmp_path):
    given = ("nas", "search", *DIGITS, "--ranker", "parameters", "--out", tmp_path)
    found = call(*given, "--search", "evolution@population=5,tournament=3", "--evaluations", 25, "--json").json
    folder = tmp_path / "evolution@population=5,tournament=3-0".replace("@", "-")
    assert found["folder"] == str(folder)
    assert len(found["history"]) == 25
    assert {path.name for path in folder.iterdir()} >= {"search.json", "metrics.jsonl", "tensorboard", "anytime.png"}
    again = call(*given, "--search", "evolution@population=5,tournament=3", "--evaluations", 25, "--json").json
    assert again["history"] == found["history"]
    call(*given, "--search", "random", "--evaluations", 9, "--quiet")
    assert "random" in call("nas", "report", tmp_path).out
    assert (tmp_path / "anytime.png").is_file()
    trained = call("nas", "train", "--from", folder, "--seeds", 2, *QUICK, "--out", tmp_path / "t", "--json").json
    winner = found["winners"][0][0]
    assert set(trained["results"][winner]) == {"0", "1"}
    assert len(list(Path(trained["networks"]).iterdir())) == 2
    wrong = call("nas", "train", "--from", folder, "--task", "mnist")
    assert wrong.code == 2
    assert "used --task digits" in wrong.err
    shown = call("nas", "train", "--from", folder, "--seeds", 2, *QUICK, "--out", tmp_path / "t")
    assert winner in shown.out
    assert "±" in shown.out
    (lost, *_) = Path(trained["networks"]).iterdir()
    lost.unlink()
    call("nas", "train", "--from", folder, "--seeds", 2, *QUICK, "--out", tmp_path / "t")
    assert lost.is_file()


def test_search_fails_if_every_judgement_fails(call, tmp_path, monkeypatch):
    (tmp_path / "useless.py").write_text("def ranker(candidate, setting, seed):\n    return float('nan')\n")
    monkeypatch.syspath_prepend(tmp_path)
    given = ("--ranker", "useless:ranker", "--evaluations", 3, "--search", "random", "--out", tmp_path / "s")
    outcome = call("nas", "search", *DIGITS, *given)
    assert outcome.code == 1
    assert "useless:ranker failed on every architecture: the score is nan" in " ".join(outcome.err.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "rael"], ["did you mean 'real'"]),
        (["rank", "--count", "3", "--ranker", "no_such:f@x=1"], ["'no_such:f' is your own function"]),
        (["sampel"], ["Did you mean 'sample'"]),
        (["sample", "--space", "nb202"], ["unknown search space 'nb202'; did you mean 'nb201'"]),
        (["sample", "--space", "nb201@chanels=3"], ["did you mean 'channels'"]),
        (["sample", "--architecture", "c3"], ["'c3' is not an architecture of nb201-small", "a valid one is"]),
        (["rank", "--task", "digits", "--ranker", "random"], ["--architecture ENCODING, or --count N"]),
        (["rank", "--count", "3", "--ranker", "synflw"], ["did you mean 'synflow'"]),
        (["rank", "--count", "3", "--ranker", "no_such:f"], ["cannot import the ranker 'no_such:f'"]),
        (["rank", "--task", "digits", "--count", "3", "--ranker", "teacher"], ["needs a teacher: teacher@file=RUN"]),
        (["correlate", "--truth", "nowhere", "--ranker", "random"], ["unknown ground truth 'nowhere'"]),
        (["check", "--truth", "nowhere"], ["unknown ground truth 'nowhere'"]),
        (["search", "--task", "digits", "--ranker", "random"], ["a search needs a budget"]),
        (["search", "--task", "digits", "--ranker", "random", "--search", "evolutoin"], ["did you mean 'evolution'"]),
        (["train", "--from", "nowhere"], ["nowhere is not a folder of gtn-cli nas search"]),
        (["train", "--count", "1", "--set", "epoch=3"], ["did you mean 'epochs'"]),
        (["report", "nowhere"], ["folder nowhere does not exist"]),
    ],
    ids=lambda value: " ".join(value[:3]) if value and "[" not in str(value[0]) else "",
)
def test_wrong_usage_is_rejected(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    outcome = call("nas", *arguments)
    assert outcome.code == 2, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith(("error: ", "Error: "))]
    assert len(lines) == 1, outcome.err
    assert all(word in lines[0] for word in words), lines
