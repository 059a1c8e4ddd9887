"""Resume: a killed run ends bit for bit like an uninterrupted one; interrupts, new budgets, changed images, locking."""

import json
import random
import signal
import sys
import time

import numpy as np
import pytest

from gtn_core.checkpoint import load_checkpoint

ITERATIONS = 40


def metrics(folder):
    """Returns every logged value except those that measure time and memory."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{tag: value for tag, value in row.items() if not tag.startswith(("perf/", "cost/"))} for row in rows]


def teacher(folder):
    """Returns what a teacher's file holds, except the command and the cost."""
    tensors, document = load_checkpoint(folder / "teacher.safetensors", "teacher")
    provenance = document.pop("provenance")
    assert provenance["command"] == (folder / "command.txt").read_text().strip()
    assert provenance["cpu_seconds"] > 0
    return document, provenance["outer_steps"], {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_run_killed_three_times_matches_uninterrupted_run(start, tmp_path, seed, small):
    settings = [*small, "--seed", seed, "--iterations", ITERATIONS]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    uninterrupted = start("meta-train", *settings, "--out", whole, "--quiet")
    _, err = uninterrupted.communicate()
    assert uninterrupted.returncode == 0, err

    chance, kills = random.Random(seed), 0
    process = start("meta-train", *settings, "--out", parts, "--quiet")
    while kills < 3:
        seen = len((parts / "metrics.jsonl").read_bytes()) if (parts / "metrics.jsonl").exists() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:  # until it has done some work
            if (parts / "metrics.jsonl").exists() and len((parts / "metrics.jsonl").read_bytes()) > seen:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        assert process.poll() is None, "it ended before it could be killed three times"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        process = start("meta-train", "--resume", parts, "--quiet")
    _, err = process.communicate()
    assert process.returncode == 0, err

    assert metrics(parts) == metrics(whole)
    assert teacher(parts) == teacher(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_saves_and_prints_resume_command(start, tmp_path, number, small):
    folder = tmp_path / "a run"
    process = start("meta-train", *small, "--iterations", 100000, "--out", folder)
    while not (folder / "state" / "latest.safetensors").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"gtn-cli meta-train --resume '{folder}'" in err
    assert "Traceback" not in err


def test_resume_rejects_two_budgets_and_run_stays_resumable(call, tmp_path, small):
    assert call("meta-train", *small, "--iterations", 1, "--out", tmp_path / "r").code == 0
    outcome = call("meta-train", "--resume", tmp_path / "r", "--iterations", 2, "--minutes", 1)
    assert (outcome.code, "either --iterations or --minutes" in outcome.err) == (2, True), outcome.err
    assert call("meta-train", "--resume", tmp_path / "r", "--iterations", 2, "--json").json["iterations"] == 2


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes a module ``my_greys`` on Python's path and the file of its images; returns their folder."""
    labels, folder = np.arange(80) % 4, tmp_path / "package"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8)).astype(np.uint8)
    arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    np.savez(folder / "greys.npz", **arrays)
    module = "import numpy as np, pathlib\nfrom gtn_sl.data import image_task\n"
    module += "greys = image_task('Greys', **np.load(pathlib.Path(__file__).with_name('greys.npz')))\n"
    (folder / "my_greys.py").write_text(module)
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("my_greys", None)


@pytest.mark.parametrize("named", ["file", "module"])
def test_resume_requires_unchanged_own_images(call, tmp_path, small, own, monkeypatch, named):
    name = own / "greys.npz" if named == "file" else "my_greys:greys"
    made = call("meta-train", *small[2:], "--task", name, "--iterations", 1, "--out", tmp_path / "r")
    assert made.code == 0, made.err
    go_on = ("meta-train", "--resume", tmp_path / "r", "--iterations", 2, "--json")
    assert call(*go_on).json["iterations"] == 2
    arrays = dict(np.load(own / "greys.npz"))
    np.savez(own / "greys.npz", **arrays | {"test_labels": arrays["test_labels"][::-1]})
    sys.modules.pop("my_greys", None)
    outcome = call(*go_on)
    assert (outcome.code, "have changed since" in outcome.err) == (1, True), outcome.err
    if named == "module":
        sys.modules.pop("my_greys", None)
        monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(own)])
        outcome = call(*go_on)
        assert outcome.code == 2
        assert "cannot import the image task 'my_greys:greys'" in outcome.err


def test_resume_fails_while_another_process_uses_the_run(start, call, tmp_path, small):
    folder = tmp_path / "r"
    process = start("meta-train", *small, "--iterations", 100000, "--out", folder)
    try:
        while not (folder / "state" / "latest.safetensors").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        outcome = call("meta-train", "--resume", folder, "--quiet")
        assert outcome.code == 1
        assert "another process is working on" in outcome.err
    finally:
        process.kill()
        process.communicate()
