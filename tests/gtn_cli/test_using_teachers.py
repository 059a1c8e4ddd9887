"""Commands that use a teacher of images: shipped names, trained classifiers, protected files, compact files."""

import pytest
import torch

import gtn_sl
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS, download
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import save_teacher


def test_inspect_and_evaluate_accept_shipped_names(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = call("inspect", "digits", "--json").json
    assert document["task"] == "digits"
    assert document["provenance"]["cpu_seconds"] > 0
    assert document["pictures"] is None
    assert "provenance.command" in call("inspect", "digits", "--quiet").out
    assert list(tmp_path.iterdir()) == []
    learners = ["--learner", "base_fc:4,4,4", "--learner", "base_fc_maxpool:4,4,4"]
    outcome = call("evaluate", "digits", *learners, "-n", 2, "--no-controls", "--curve-images", 0)
    assert outcome.code == 0, outcome.err
    for words in ("base_fc_maxpool:4,4,4", "mean of all", "minimum", "2 fresh learners each"):
        assert words in outcome.out
    assert (tmp_path / "runs" / "evaluate" / "digits" / "learners.png").is_file()


def test_unknown_teacher_suggests_closest_name(call):
    for command in (["inspect", "digit"], ["evaluate", "digit"], ["train-learner", "--teacher", "digit"]):
        outcome = call(*command)
        assert outcome.code == 2
        assert "did you mean 'digits'" in outcome.err


def test_train_learner_tests_and_saves_classifier(call, tmp_path):
    path = tmp_path / "model.safetensors"
    outcome = call("train-learner", "--teacher", "digits", "--save", path, "--seed", 3)
    assert outcome.code == 0, outcome.err
    assert "of 597 real images" in outcome.out
    assert f"saved: {path}" in outcome.out
    classifier, data = gtn_sl.load_learner(path), gtn_sl.load_task("digits")
    right = (classifier(data.test.images).argmax(dim=1) == data.test.labels).float().mean().item()
    assert f"test accuracy: {100 * right:.2f}%" in outcome.out
    assert abs(classifier.document["test_accuracy"] - right) < 1e-6
    assert classifier.document["command"] == f"gtn-cli train-learner --teacher digits --save {path} --seed 3"


def test_train_learner_saves_best_on_validation_images(call, trained, tmp_path):
    path = tmp_path / "model.safetensors"
    result = call("train-learner", "--teacher", trained, "-n", 4, "--save", path, "--json").json
    data = gtn_sl.load_task("digits")
    learners = [gtn_sl.train_learner(trained, seed=seed) for seed in result["seeds"]]
    scores = [(c(data.validation.images).argmax(dim=1) == data.validation.labels).sum().item() for c in learners]
    assert result["seeds"] == [0, 1, 2, 3]
    assert scores[result["saved_seed"]] == max(scores)
    kept = learners[result["saved_seed"]]
    assert torch.equal(gtn_sl.load_learner(path)(data.test.images[:9]), kept(data.test.images[:9]))
    assert "(n = 4)" in call("train-learner", "--teacher", trained, "-n", 4).out
    untested = call("train-learner", "--teacher", trained, "-n", 4, "--save", path, "--no-test", "--json").json
    assert (untested["saved_seed"], untested["test_accuracy"]) == (result["saved_seed"], None)


def test_train_learner_takes_other_numbers_of_steps(call, trained, tmp_path):
    path = tmp_path / "model.safetensors"
    result = call("train-learner", "--teacher", trained, "--steps", 7, "--save", path, "--json").json
    assert (result["steps"], result["batch_size"]) == (7, 20)
    saved, longer, usual = gtn_sl.load_learner(path), *(gtn_sl.train_learner(trained, steps=n) for n in (7, None))
    images = gtn_sl.load_task("digits").test.images[:9]
    assert (saved.document["steps"], usual.document["steps"]) == (7, 4)
    assert torch.equal(saved(images), longer(images))
    assert not torch.equal(saved(images), usual(images))
    assert "2 steps of 20 synthetic images" in call("train-learner", "--teacher", trained, "--steps", 2).out
    assert call("train-learner", "--teacher", trained, "--steps", 0).code == 2


def test_train_learner_works_without_real_images(call, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "BASE_URLS", dict.fromkeys(download.BASE_URLS, "http://127.0.0.1:9/"))
    few = {"teacher": {"hidden": 8, "channels": [4, 2]}, "inner": {"steps": 2, "batch_size": 10}}
    config = resolve_config("mnist", "fast", few)
    untrained, path = tmp_path / "untrained.safetensors", tmp_path / "model.safetensors"
    save_teacher(untrained, seeded_teacher(config, TASKS["mnist"], 0), config, {})
    outcome = call("train-learner", "--teacher", untrained, "--save", path, "--data-dir", tmp_path / "none")
    assert outcome.code == 0, outcome.err
    assert "test accuracy: not measured: cannot fetch" in outcome.out
    assert gtn_sl.load_learner(path).document["test_accuracy"] is None
    result = call("train-learner", "--teacher", "digits", "--no-test", "--json").json
    assert result["test_accuracy"] is None
    assert result["untested_because"] == "--no-test was given"


def test_output_without_safetensors_suffix_is_rejected(call):
    outcome = call("train-learner", "--teacher", "digits", "--save", "model.pt")
    assert outcome.code == 2
    assert "--save must name a .safetensors file, not model.pt" in outcome.err
    outcome = call("compact", "digits", "--out", "digits")
    assert outcome.code == 2
    assert "--out must name a .safetensors file, not digits" in outcome.err


@pytest.mark.parametrize(
    "command", [("export-dataset", "FILE", "--out", "FILE"), ("train-learner", "--teacher", "FILE", "--save", "FILE")]
)
def test_commands_refuse_to_overwrite_their_teacher(call, trained, tmp_path, command):
    file = tmp_path / "mine.safetensors"
    file.write_bytes((trained / "teacher.safetensors").read_bytes())
    before = file.read_bytes()
    outcome = call(*(file if word == "FILE" else word for word in command))
    assert (outcome.code, "is the teacher itself" in outcome.err) == (2, True), outcome.err
    assert file.read_bytes() == before


def test_unwritable_output_is_rejected(call):
    for command in (["train-learner", "--teacher", "digits", "--save"], ["compact", "digits", "--out"]):
        outcome = call(*command, "/dev/null/small.safetensors")
        assert outcome.code == 2
        assert "cannot write /dev/null/small.safetensors" in outcome.err


def test_compact_stores_teacher_in_float16(call, trained, tmp_path):
    path = tmp_path / "small.safetensors"
    outcome = call("compact", trained, "--out", path, "-n", 2, "--tolerance", 10)
    assert outcome.code == 0, outcome.err
    assert "2 fresh learners" in outcome.out
    document = call("inspect", path, "--out", tmp_path / "pictures", "--json").json
    assert document["storage"]["floats"] == "float16"
    assert document["provenance"]["command"].startswith("gtn-cli meta-train")
    again = call("compact", path, "--out", tmp_path / "again.safetensors", "-n", 1, "--tolerance", 10, "--json").json
    assert again["before"] == again["after"]
