"""Failures for the user to fix: one clear line, the right exit code, nothing lost."""

import math
import subprocess
from pathlib import Path

import pytest


def assert_one_line(outcome, code, *words):
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err
    lines = [line for line in outcome.err.splitlines() if line.startswith(("error: ", "Error: "))]
    assert len(lines) == 1, outcome.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["meta-train", "--task", "digit"], ["unknown task 'digit'", "did you mean 'digits'"]),
        (["meta-train", "--preset", "fats"], ["unknown preset 'fats'", "did you mean 'fast'"]),
        (["meta-train", "--set", "inner.step=3"], ["unknown config key 'inner.step'", "did you mean 'inner.steps'"]),
        (["meta-train", "--set", "inner.steps=many"], ["'inner.steps'", "'many'"]),
        (["meta-train", "--set", "inner.optimizer=adm"], ["did you mean 'adam'"]),
        (["meta-train", "--set", "nonsense"], ["KEY=VALUE"]),
        (["meta-train", "--set", "preset=3"], ["unknown preset '3'"]),
        (["meta-train", "--set", "preset=[fast]"], ["unknown preset"]),
        (["meta-train", "--set", "outer.betas=[0.9, 1.0]"], ["outer.betas.1", "less than 1"]),
        (["meta-train", "--set", "compute.threads=99999999"], ["compute.threads", "4096"]),
        (["meta-train", "--task", "CartPole-v1", "--from", "GTN-Cartpol-v0"], ["did you mean 'GTN-CartPole-v0'"]),
        (["meta-train", "--config", "absent.yaml"], ["cannot read the config absent.yaml"]),
        (["meta-train", "--task", "CartPole-v1", "--estimator", "metagrad"], ["unknown estimator", "'meta-gradient'"]),
        (["meta-train", "--minutes", "1", "--iterations", "2"], ["either --iterations or --minutes"]),
        (
            ["meta-train", "--set", "outer.minutes=1", "--set", "outer.iterations=2"],
            ["either outer.iterations or outer.minutes"],
        ),
        (
            ["meta-train", "--task", "CartPole-v1", "--set", "minutes=1", "--set", "iterations=2"],
            ["either iterations or minutes"],
        ),
        (["meta-train", "--device", "cuda"], ["CUDA", "--device cpu"]),
        (["meta-train", "--device", "warp"], ["warp", "cuda:N"]),
        (["meta-train", "--resume", "nowhere"], ["nowhere is not a run folder"]),
        (["meta-train", "--resume", "nowhere", "--task", "mnist"], ["--task cannot be combined with --resume"]),
        (["meta-train", "--out", "/dev/null/run"], ["cannot create the run folder /dev/null/run"]),
        (["meta-train", "--set", "learner.architecture=base_fc:1"], ["takes 3 widths"]),
        (["tasks", "--download", "minst"], ["did you mean 'mnist'"]),
        (["runs", "absent"], ["folder absent does not exist"]),
        (["evalute"], ["Did you mean 'evaluate'"]),
        (["meta-train", "--tsk", "digits"], ["--tsk"]),
        (["meta-train", "--minutes", "nan"], ["nan is not a finite number"]),
        (["meta-train", "--threads", "100000000000"], ["'--threads'", "4096"]),
        (["train-learner", "--teacher", "digits", "--seed", "9" * 23], ["'--seed'", "9" * 23]),
        (["compact", "digits", "--out", "d.safetensors", "--tolerance", "nan"], ["nan is not a finite number"]),
        (["nas", "search", "--ranker", "synflow", "--cpu-seconds", "inf"], ["inf is not a finite number"]),
        (["nas", "search", "--ranker", "synflow", "--cpu-seconds", "1e31"], ["'--cpu-seconds': 1e31 is above 1e+30"]),
        (["nas", "contest", "--ranker", "synflow", "--cpu-seconds", "1e31"], ["'--cpu-seconds': 1e31 is above 1e+30"]),
        (["meta-train", "--resume", "nowhere", "--minutes", "1e31"], ["'--minutes': 1e31 is above 1e+30"]),
        (["nas", "train", "--task", "digits", "--count", "1", "--top", "5"], ["--top", "name the search with --from"]),
        (
            ["train-agent", "--env", "GTN-CartPole-v0", "--n-envs", "4", "--set", "n_envs=2"],
            ["--n-envs and --set n_envs set the same value"],
        ),
    ],
    ids=lambda value: " ".join(value)[:60] if value and " " not in value[0] and len(value) > 1 else "",
)
def test_wrong_usage_is_rejected_and_writes_nothing(call, tmp_path, monkeypatch, arguments, words):
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    monkeypatch.chdir(tmp_path)
    assert_one_line(call(*arguments), 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_options_take_numbers_as_large_as_settings_do():
    from gtn_cli.options import LARGEST
    from gtn_core.config import resolve
    from gtn_core.errors import UsageError
    from gtn_core.outer_config import OuterConfig

    assert resolve(OuterConfig, {"minutes": LARGEST}).minutes == LARGEST
    with pytest.raises(UsageError, match="minutes"):
        resolve(OuterConfig, {"minutes": math.nextafter(LARGEST, math.inf)})


def test_failed_download_is_reported_without_a_folder(call, tmp_path, monkeypatch):
    from gtn_sl.data import download

    monkeypatch.setattr(download, "BASE_URLS", dict.fromkeys(download.BASE_URLS, "http://127.0.0.1:9/"))
    outcome = call("meta-train", "--task", "mnist", "--data-dir", tmp_path / "data", "--out", tmp_path / "r")
    assert_one_line(outcome, 1, "train-images-idx3-ubyte.gz", "--data-dir")
    assert not (tmp_path / "r").exists()
    outcome = call("evaluate", "mnist", "--data-dir", tmp_path / "data", "--out", tmp_path / "r")
    assert_one_line(outcome, 1, "train-images-idx3-ubyte.gz", "--data-dir")
    assert not (tmp_path / "r").exists()


def test_damaged_foreign_and_missing_teachers_are_rejected(call, trained, tmp_path):
    whole = (trained / "teacher.safetensors").read_bytes()
    damaged = tmp_path / "damaged.safetensors"
    for content, word in [
        (whole[: len(whole) // 2], "truncated"),
        (b"not a teacher", "truncated or not a safetensors file"),
        ((trained / "state" / "latest.safetensors").read_bytes(), "holds a 'training-state', not a 'teacher'"),
    ]:
        damaged.write_bytes(content)
        for command in ("evaluate", "inspect"):
            assert_one_line(call(command, damaged), 1, str(damaged), word)
    assert_one_line(call("inspect", tmp_path / "absent.safetensors"), 1, "absent.safetensors does not exist")


def test_meta_train_refuses_to_overwrite_a_run(call, trained, small):
    before = (trained / "teacher.safetensors").read_bytes()
    outcome = call("meta-train", *small, "--iterations", 1, "--out", trained)
    assert_one_line(outcome, 2, "already holds a run", "--resume")
    assert (trained / "teacher.safetensors").read_bytes() == before


def test_divergence_reports_outer_step_and_keeps_state(call, tmp_path, small):
    folder = tmp_path / "r"
    outcome = call("meta-train", *small, "--iterations", 30, "--out", folder, "--set", "outer.lr=30", "--quiet")
    assert_one_line(outcome, 1, "outer step", "are kept in", "outer.lr")
    assert (folder / "state" / "latest.safetensors").exists()


def test_folder_of_untrained_run_can_be_reused(call, tmp_path, small):
    folder = tmp_path / "r"
    outcome = call("meta-train", *small, "--iterations", 1, "--out", folder, "--set", "inner.lr=1e30", "--quiet")
    assert_one_line(outcome, 1, "validation after outer step 0", "inner.lr")
    assert "kept in" not in outcome.err
    assert call("meta-train", *small, "--iterations", 1, "--out", folder, "--quiet").code == 0


@pytest.fixture
def small_disk(tmp_path):
    """Mount point of a file system of 300 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_keeps_saved_state_resumable(call, small_disk, trained, small):
    (small_disk / "filler").write_bytes(b"0" * 120 * 1024)
    outcome = call("meta-train", *small, "--iterations", 3000, "--out", small_disk / "r", "--quiet")
    assert_one_line(outcome, 1, "No space left on device")
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    state = small_disk / "r" / "state" / "latest.safetensors"
    assert state.exists(), "the disk was full before the first save"
    done = call("runs", small_disk, "--json").json[0]["steps"]
    assert done > 0
    again = call("meta-train", "--resume", small_disk / "r", "--iterations", done + 1, "--json")
    assert again.code == 0, again.err
    assert again.json["iterations"] == done + 1
    assert not list(Path(small_disk).rglob("*.tmp"))
