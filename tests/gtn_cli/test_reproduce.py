"""``gtn-cli reproduce`` and the controls of ``gtn-cli evaluate``: wrong usage, an interrupt, and going on."""

import json
import signal
import time

import pytest


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
def test_wrong_usage(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert_one_line(call("reproduce", *arguments), 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(call, tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    assert_one_line(call("reproduce", "speed", "--out", tmp_path), 2, str(tmp_path), "something else")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_an_interrupted_study_goes_on(call, start, tmp_path):
    command = ["reproduce", "endless", "--minutes", "0.08", "--device", "cpu", "--out", str(tmp_path / "s")]
    process = start(*command)
    metrics = tmp_path / "s" / "runs" / "none" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and "meta/loss" in metrics.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on with: gtn-cli reproduce endless" in err
    assert "Traceback" not in err
    outcome = call(*command, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["runs"].keys() == {"none", "full"}
    assert json.loads((tmp_path / "s" / "endless.json").read_text())["saw"] == outcome.json["saw"]


def test_controls_are_named_one_by_one(call, trained, tmp_path):
    options = ("-n", 1, "--control-iterations", 1, "--device", "cpu", "--out", tmp_path, "--json")
    outcome = call("evaluate", trained, "--control", "untrained", "--control", "real", *options)
    assert [result["name"] for result in outcome.json["results"]] == ["teacher", "untrained teacher", "real data"]
    assert_one_line(call("evaluate", trained, "--control", "reel", *options), 2, "unknown control 'reel'", "'real'")
    assert_one_line(call("evaluate", trained, "--control", "real", "--no-controls", *options), 2, "--no-controls")
