"""Where commands read and write: default folders, protection from overwriting, damaged runs, and quoted paths."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from gtn_cli.teacher_argument import data_dir_of_run
from gtn_core.errors import UsageError
from gtn_core.run_folder import RunFolder
from gtn_rl.transfer.report import refuse_another_study

REFUSED = """
import sys
from gtn_cli.main import main
for line in sys.stdin.read().splitlines():
    try:
        main(line.split())
    except SystemExit as ended:
        assert ended.code == 2, line
    assert "torch" not in sys.modules, line
"""


def test_unusable_output_is_refused_before_torch_is_imported(tmp_path):
    run = tmp_path / "run"
    RunFolder(run).create()
    RunFolder(run).state.touch()
    commands = {
        f"meta-train --task digits --out {run}": "already holds a run",
        f"meta-train --task CartPole-v1 --out {run}/config.yaml/below": "cannot create the run folder",
        f"meta-train --resume {tmp_path}/nowhere": "is not a run folder",
        "train-learner --teacher digits --save model.pt": "--save must name a .safetensors file, not model.pt",
        f"compact digits --out {tmp_path}": "is a directory",
        "evaluate digits --out /dev/null/report": "cannot create the folder /dev/null/report: Not a directory",
        "export-dataset digits --out /dev/null/d.npz": "cannot write /dev/null/d.npz: Not a directory",
        "train-agent --env CartPole-v1 --save /dev/null/a.zip": "cannot write /dev/null/a.zip",
        "transfer GTN-CartPole-v0 --out /dev/null": "cannot create the folder /dev/null",
        f"reproduce speed --out {run}": "already holds other files",
        "nas search --ranker synflow --out /dev/null": "cannot create the folder /dev/null",
    }
    (run / "config.yaml").touch()
    before = sorted(tmp_path.rglob("*"))
    told = subprocess.run([sys.executable, "-c", REFUSED], input="\n".join(commands), capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    for message in commands.values():
        assert message in told.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_evaluate_rejects_unwritable_report(call, trained, tmp_path):
    (tmp_path / "evaluation.md").mkdir()
    ended = call("evaluate", trained, "-n", 1, "--no-controls", "--out", tmp_path)
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == f"error: cannot write {tmp_path / 'evaluation.md'}: it is a folder"


def test_each_teacher_file_gets_its_own_report(call, trained, tmp_path):
    for name in ("one", "two"):
        shutil.copy(trained / "teacher.safetensors", tmp_path / f"{name}.safetensors")
        assert call("evaluate", tmp_path / f"{name}.safetensors", "-n", 1, "--no-controls", "-q").code == 0
    for name in ("one", "two"):
        report = json.loads((tmp_path / name / "evaluation.json").read_text())
        assert report["teacher"] == str(tmp_path / f"{name}.safetensors")


def test_teacher_file_of_run_is_reported_in_run_folder(call, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    shutil.rmtree(run / "report")
    assert call("evaluate", run / "teacher.safetensors", "-n", 1, "--no-controls", "-q").code == 0
    assert (run / "report" / "evaluation.json").is_file()
    assert call("inspect", run / "teacher.safetensors", "--json").json["pictures"] == str(run / "report")


def test_compact_refuses_to_overwrite_its_teacher(call, trained):
    ended = call("compact", trained, "--out", trained / "teacher.safetensors", "-n", 1)
    assert ended.code == 2
    assert "is the teacher itself and would be overwritten" in ended.err


@pytest.mark.parametrize("stored", ["/nowhere/at/all", 3, None])
def test_missing_data_dir_of_run_is_ignored(trained, tmp_path, stored):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**settings, "data_dir": stored}))
    assert data_dir_of_run(run) is None
    (run / "config.yaml").write_text(yaml.safe_dump({**settings, "data_dir": str(tmp_path)}))
    assert data_dir_of_run(run) == tmp_path


def test_transfer_report_is_not_overwritten_by_another_study(tmp_path):
    cartpole = SimpleNamespace(name="GTN-CartPole-v0", digest="a")
    refuse_another_study(tmp_path, cartpole, "CartPole-v1")
    told = {"env": "GTN-CartPole-v0", "digest": "a", "task": "CartPole-v1"}
    (tmp_path / "transfer.json").write_text(json.dumps(told))
    refuse_another_study(tmp_path, cartpole, "CartPole-v1")
    refuse_another_study(tmp_path, SimpleNamespace(name="GTN-CartPole-v0", digest="made again"), "CartPole-v1")
    refuse_another_study(tmp_path, SimpleNamespace(name="moved/elsewhere.safetensors", digest="a"), "CartPole-v1")
    for name, digest, task in (
        ("GTN-CartPole-v0", "a", "Mine-v0"),
        ("GTN-CartPoleBandit-v0", "b", "CartPole-v1"),
        ("x", None, "CartPole-v1"),
    ):
        with pytest.raises(
            UsageError, match="already holds a study of GTN-CartPole-v0 on CartPole-v1; choose another --out for"
        ):
            refuse_another_study(tmp_path, SimpleNamespace(name=name, digest=digest), task)


def test_transfer_studies_cannot_share_a_folder(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("transfer", "GTN-CartPole-v0", "GTN-CartPole-v0", "--steps", 100, "--no-controls", "--out", tmp_path)
    assert ended.code == 2
    assert "would share the folder" in ended.err


def test_folder_named_like_an_id_does_not_hide_environment(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "GTN-CartPole-v0").mkdir()  # as a transfer study creates it
    for name in ("GTN-CartPole-v0", "gtn_envs:GTN-CartPole-v0"):
        shown = call("inspect", name, "--json")
        assert (shown.code, shown.json["task"]) == (0, "CartPole-v1")
    assert not list((tmp_path / "GTN-CartPole-v0").iterdir())


def test_inspect_suggests_correct_id_for_misspelt_one(call):
    ended = call("inspect", "GTN-CartPol-v0")
    assert (ended.code, "did you mean 'GTN-CartPole-v0'?" in ended.err) == (2, True)


def test_inspect_continues_if_picture_folder_is_unusable(call, trained, tmp_path):
    shutil.copy(trained / "teacher.safetensors", tmp_path / "mine.safetensors")
    (tmp_path / "mine").write_text("a file where the pictures' folder would be")
    shown = call("inspect", tmp_path / "mine.safetensors", "--json")
    assert (shown.code, shown.json["task"], shown.json["pictures"]) == (0, "digits", None)
    assert "no picture: cannot create the folder" in shown.err
    assert call("inspect", tmp_path / "mine.safetensors", "--out", tmp_path / "mine").code == 2


def test_suggested_commands_quote_paths(call, small, tmp_path):
    folder = tmp_path / "two words"
    told = call("meta-train", *small, "--iterations", 0, "--out", folder).out
    assert f"tensorboard --logdir '{folder}'" in told
    assert f"gtn-cli evaluate '{folder}'" in told
    file = tmp_path / "s t.safetensors"
    assert f"--env '{file}'" in call("export-dataset", "digits", "--out", file).out


def test_runs_lists_good_run_beside_damaged_one(call, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "good")
    shutil.copytree(trained, tmp_path / "bad")
    (tmp_path / "bad" / "config.yaml").write_text("task: x")
    bad, good = call("runs", tmp_path, "--json").json
    assert (good["state"], bad["task"]) == ("done", "x")
    assert "are not those of a run" in bad["state"]


def test_ground_truth_path_is_made_absolute(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("nas", "correlate", "--truth", "absent.json", "--ranker", "synflow")
    assert str(tmp_path / "absent.json") in ended.err


def test_simultaneous_runs_claim_separate_folders(start, small, tmp_path):
    together = [start("meta-train", *small, "--iterations", 1, "--json", cwd=tmp_path) for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in together]
    assert [process.returncode for process in together] == [0, 0], ends
    assert {json.loads(out)["run"] for out, _ in ends} == {"runs/digits-fast-1", "runs/digits-fast-2"}


def test_rejected_run_leaves_no_folder(call, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("meta-train", *small, "--iterations", 1, "--set", "learner.architecture=nobody:Knows").code == 2
    assert list(tmp_path.rglob("digits-*")) == []
