"""Every command of ``gtn-cli``, as a user calls it."""

import json

import pytest

from gtn_cli.main import COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_has_examples(call, name):
    outcome = call(name, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"gtn-cli {name}" in outcome.out


def test_help_lists_all_commands_and_version_is_printed(call):
    assert all(name in call("--help").out for name in COMMANDS)
    assert "gtn-cli, version " in call("--version").out


def test_meta_train_writes_run_folder(trained):
    left = {path.name for path in trained.iterdir()}
    files = {"config.yaml", "command.txt", "metrics.jsonl", "teacher.safetensors", "run.log"}
    assert left == files | {"tensorboard", "state", "report"}
    assert {path.name for path in (trained / "report").iterdir()} == {"batches.png", "schedule.png", "curves.png"}
    assert "warm start" in (trained / "run.log").read_text()


def test_meta_train_prints_paths_and_next_commands(call, tmp_path, small):
    outcome = call("meta-train", *small, "--iterations", 1, "--out", tmp_path / "r")
    assert outcome.code == 0
    for words in ("teacher.safetensors", "validation accuracy", "report", "tensorboard --logdir", "gtn-cli evaluate"):
        assert words in outcome.out


def test_meta_train_prints_json(call, tmp_path, small):
    outcome = call("meta-train", *small, "--iterations", 2, "--out", tmp_path / "r", "--json")
    assert outcome.json["iterations"] == 2
    assert 0 < outcome.json["validation_accuracy"] <= 1
    assert outcome.err == ""


def test_assignments_override_config_file_and_preset(call, tmp_path, small):
    file = tmp_path / "c.yaml"
    file.write_text("outer: {lr: 0.5, iterations: 1}\nseed: 4\n")
    folder = tmp_path / "r"
    assert call("meta-train", *small, "--config", file, "--set", "outer.lr=0.25", "--out", folder, "--quiet").code == 0
    settings = (folder / "config.yaml").read_text()
    assert "lr: 0.25" in settings
    assert "seed: 4" in settings


def test_finished_run_can_be_extended(call, tmp_path, small):
    call("meta-train", *small, "--iterations", 2, "--out", tmp_path / "r", "--quiet")
    outcome = call("meta-train", "--resume", tmp_path / "r", "--iterations", 3, "--json")
    assert outcome.json["iterations"] == 3


def test_resume_may_change_thread_count(call, tmp_path, small):
    call("meta-train", *small, "--iterations", 1, "--out", tmp_path / "r", "--quiet")
    outcome = call("meta-train", "--resume", tmp_path / "r", "--iterations", 2, "--threads", 2, "--json")
    assert outcome.code == 0, outcome.err
    assert "threads: 2" in (tmp_path / "r" / "config.yaml").read_text()


def test_evaluate_prints_table_and_writes_report(call, trained, tmp_path):
    arguments = ["-n", 2, "--control-iterations", 2, "--curve-images", 50, "--out", tmp_path]
    outcome = call("evaluate", trained, *arguments)
    assert outcome.code == 0
    assert "untrained teacher" in outcome.out
    assert {p.name for p in tmp_path.iterdir()} == {"evaluation.json", "evaluation.md", "accuracy-base_fc-6-8-10.png"}
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert [r["n"] for r in report["results"]] == [2, 2, 2, 2]
    again = call("evaluate", trained / "teacher.safetensors", *arguments, "--json")
    assert [r["final"] for r in again.json["results"]] == [r["final"] for r in report["results"]]


def test_evaluate_accepts_other_learners(call, trained, tmp_path):
    names = ["base_fc:4,4,4", "base_fc_maxpool:4,4,4"]
    options = [f"--learner={name}" for name in names]
    outcome = call("evaluate", trained, *options, "-n", 1, "--no-controls", "--out", tmp_path, "--json")
    assert [r["architecture"] for r in outcome.json["results"]] == names


def test_evaluate_rejects_unsuitable_learner_and_writes_nothing(call, trained, tmp_path):
    names, out = ["base_fc:4,4,4", "convnet:depth=5"], tmp_path / "report"
    outcome = call("evaluate", trained, *(f"--learner={name}" for name in names), "-n", 1, "--out", out)
    assert outcome.code == 2
    assert "images of 1x8x8 are too small for this learner of depth 5" in outcome.err
    assert not out.exists()


def test_inspect_shows_header_sizes_and_pictures(call, trained, tmp_path):
    outcome = call("inspect", trained, "--out", tmp_path)
    assert "curriculum.noise" in outcome.out
    assert "inner.steps" in outcome.out
    assert {p.name for p in tmp_path.iterdir()} == {"batches.png", "schedule.png"}
    found = call("inspect", trained / "teacher.safetensors", "--out", tmp_path, "--json").json
    assert found["task"] == "digits"
    assert found["tensors"]["curriculum.noise"] == [4, 20, 8]
    assert found["bytes"] == (trained / "teacher.safetensors").stat().st_size


def test_tasks_lists_all_tasks_and_checks_one(call):
    text = call("tasks").out
    assert "CartPole-v1" in text
    assert "GTN-CartPole-v0" in text
    assert {row["task"] for row in call("tasks", "--json").json} == {"digits", "mnist", "fashion-mnist", "cifar10"}
    assert "1000 training, 200 validation, 597 test" in call("tasks", "--download", "digits").out
    checked = {"task": "digits", "train": 1000, "validation": 200, "test": 597}
    assert call("tasks", "--download", "digits", "--json").json == [checked]


def test_runs_lists_finished_and_broken_runs(call, trained, tmp_path):
    (row,) = call("runs", trained.parent, "--json").json
    assert row["task"] == "digits"
    assert row["steps"] == 4
    assert row["state"] == "done"
    assert "no runs in" in call("runs", tmp_path).out
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.yaml").write_text("task: digits\n")
    assert "latest.safetensors does not exist" in call("runs", tmp_path, "--json").json[0]["state"]


def test_run_with_zero_iterations_is_listed_as_done(call, small, tmp_path):
    assert call("meta-train", *small, "--iterations", 0, "--out", tmp_path / "none", "-q").code == 0
    assert call("runs", tmp_path, "--json").json[0]["state"] == "done"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed_for_each_shell(call, shell):
    assert "_GTN_CLI_COMPLETE" in call("completion", shell).out
