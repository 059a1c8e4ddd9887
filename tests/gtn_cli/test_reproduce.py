"""``gtn-cli reproduce``: wrong usage, interrupt and resume; and the controls of ``gtn-cli evaluate``."""

import dataclasses
import json
import os
import signal
import threading
import time

import pytest

from gtn_sl.claims import SCALES


def assert_one_line(outcome, code, *words):
    assert outcome.code == code, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith(("error: ", "Error: "))]
    assert len(lines) == 1, outcome.err
    assert all(word in lines[0] for word in words), lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sped"], ["unknown claim 'sped'", "did you mean 'speed'"]),
        (["speed", "--task", "digit"], ["unknown task 'digit'", "did you mean 'digits'"]),
        (["speed", "--budget", "medium"], ["--budget", "small"]),
        (["speed", "--minutes", "0"], ["--minutes"]),
        (["speed", "--device", "warp"], ["warp", "cuda:N"]),
        (["speed", "--out", "/dev/null/study"], ["/dev/null/study"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_rejected_and_writes_nothing(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert_one_line(call("reproduce", *arguments), 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_other_files_is_rejected(call, tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    assert_one_line(call("reproduce", "speed", "--out", tmp_path), 2, str(tmp_path), "already holds other files")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


TINY = {
    "teacher": {"hidden": 8, "channels": [2, 2], "latent": 4, "warm_start": 0, "labels": "one-hot"},
    "learner": {"architecture": "base_fc:4,4,8", "random_widths": [[4, 5], [4, 5], [8, 9]]},
    "inner": {"steps": 2, "batch_size": 10},
    "meta_loss": {"batch_size": 32, "every": 0},
    "outer": {"validations": 1},
    "validation": {"learners": 1, "images": 50},
    "compute": {"plan": {}},
}


def interrupt_when(metrics):
    """Interrupts this process once a run has taken an outer step."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if metrics.is_file() and "meta/loss" in metrics.read_text():
            return os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


@pytest.mark.slow
def test_interrupted_study_can_be_resumed(call, tmp_path, monkeypatch):
    scale = dataclasses.replace(SCALES["small"], settings={"digits": TINY}, learners=1, curve_images=10)
    monkeypatch.setitem(SCALES, "small", scale)
    command = ["reproduce", "endless", "--minutes", "0.1", "--device", "cpu", "--out", str(tmp_path / "s")]
    metrics = tmp_path / "s" / "runs" / "none" / "metrics.jsonl"
    finger = threading.Thread(target=interrupt_when, args=[metrics])
    finger.start()
    outcome = call(*command)
    finger.join()
    assert outcome.code == 130
    assert "resume with: gtn-cli reproduce endless --minutes 0.1" in outcome.err
    done = metrics.read_text()
    outcome = call(*command, "--json")
    assert outcome.code == 0, outcome.err
    assert metrics.read_text().startswith(done)
    assert outcome.json["runs"].keys() == {"none", "full"}
    assert json.loads((tmp_path / "s" / "endless.json").read_text())["saw"] == outcome.json["saw"]
    outcome = call(*command)
    assert "from" in outcome.out
    assert "picture: " in outcome.out


def test_evaluate_runs_only_the_named_controls(call, trained, tmp_path):
    options = ("-n", 1, "--control-iterations", 1, "--device", "cpu", "--out", tmp_path, "--json")
    outcome = call("evaluate", trained, "--control", "untrained", "--control", "real", *options)
    assert [result["name"] for result in outcome.json["results"]] == ["teacher", "untrained teacher", "real data"]
    assert_one_line(call("evaluate", trained, "--control", "reel", *options), 2, "unknown control 'reel'", "'real'")
    assert_one_line(call("evaluate", trained, "--control", "real", "--no-controls", *options), 2, "--no-controls")
