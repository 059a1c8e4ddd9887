"""``gtn-cli transfer``: reports, extending a study, several environments, wrong usage and interrupts."""

import signal
import time

import pytest

SMALL = ("--algo", "a2c", "--seeds", 2, "--steps", "20,40", "--episodes", 3)


def test_study_writes_reports_and_can_be_extended(call, tmp_path):
    outcome = call("transfer", "CartPole-v1", *SMALL, "--out", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "IQM of the return on CartPole-v1" in outcome.out
    assert {path.name for path in tmp_path.iterdir()} >= {
        "agents.jsonl",
        "transfer.json",
        "transfer.md",
        "transfer.png",
    }
    lines = (tmp_path / "agents.jsonl").read_text()
    again = call("transfer", "CartPole-v1", *SMALL, "--seeds", 3, "--out", tmp_path, "--json")
    assert again.json["curves"][0]["points"][-1]["deterministic"]["n"] == 3
    assert (tmp_path / "agents.jsonl").read_text().startswith(lines)
    made_by = f"gtn-cli transfer CartPole-v1 --algo a2c --seeds 3 --steps 20,40 --episodes 3 --out {tmp_path} --json"
    assert made_by in (tmp_path / "transfer.md").read_text()


def test_several_environments_get_separate_folders(call, tmp_path):
    names = ("CartPole-v0", "CartPole-v1")
    with pytest.warns(DeprecationWarning, match="CartPole-v0 is out of date"):
        outcome = call(
            "transfer", *names, *SMALL, "--eval", "CartPole-v1", "--no-controls", "--out", tmp_path, "--json"
        )
    assert [document["env"] for document in outcome.json] == list(names)
    assert all((tmp_path / name / "transfer.png").exists() for name in names)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["CartPole-v1", "--algo", "dqm"], "did you mean 'dqn'"),
        (["CartPole-v1", "--steps", "1000,many"], "--steps must be comma-separated integers above 0"),
        (["CartPole-v1", "--settings", "tunde"], "did you mean 'tuned'"),
        (["CartPole-v1", "--out", "/dev/null/out"], "cannot create the folder /dev/null/out"),
        (["CartPole-v1", "Pendulum-v1", "--algo", "dqn"], "dqn does not support the actions of Pendulum-v1"),
    ],
)
def test_wrong_usage_is_rejected_and_writes_nothing(call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    outcome = call("transfer", *arguments)
    assert outcome.code == 2, outcome
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_interrupt_with_workers_prints_resume_command(start, tmp_path):
    arguments = ("transfer", "CartPole-v1", *SMALL, "--seeds", 300, "--workers", 2, "--out", tmp_path / "out")
    process = start(*arguments)
    lines = tmp_path / "out" / "agents.jsonl"
    while process.poll() is None and not lines.exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "resume with: gtn-cli transfer CartPole-v1 --algo a2c" in err
    assert lines.read_text().endswith("\n")
