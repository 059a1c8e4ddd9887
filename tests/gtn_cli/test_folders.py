"""Where commands read and write: nothing is lost, nothing of another is replaced, and all is found from elsewhere."""

import json
import shutil
from types import SimpleNamespace

import pytest
import yaml

from gtn_cli.teacher_argument import data_dir_of_run
from gtn_core.errors import UsageError
from gtn_rl.transfer.report import refuse_another_study


def test_evaluate_finds_out_at_once_that_its_report_cannot_be_written(call, trained, tmp_path):
    (tmp_path / "evaluation.md").mkdir()
    ended = call("evaluate", trained, "-n", 1, "--no-controls", "--out", tmp_path)
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == f"error: cannot write {tmp_path / 'evaluation.md'}: it is a folder"


def test_each_file_has_a_report_of_its_own(call, trained, tmp_path):
    for name in ("one", "two"):
        shutil.copy(trained / "teacher.safetensors", tmp_path / f"{name}.safetensors")
        assert call("evaluate", tmp_path / f"{name}.safetensors", "-n", 1, "--no-controls", "-q").code == 0
    for name in ("one", "two"):
        report = json.loads((tmp_path / name / "evaluation.json").read_text())
        assert report["teacher"] == str(tmp_path / f"{name}.safetensors")


def test_a_runs_teacher_is_reported_in_the_run(call, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    shutil.rmtree(run / "report")
    assert call("evaluate", run / "teacher.safetensors", "-n", 1, "--no-controls", "-q").code == 0
    assert (run / "report" / "evaluation.json").is_file()
    assert call("inspect", run / "teacher.safetensors", "--json").json["pictures"] == str(run / "report")


def test_compact_does_not_replace_the_teacher(call, trained):
    ended = call("compact", trained, "--out", trained / "teacher.safetensors", "-n", 1)
    assert ended.code == 2
    assert "is the teacher itself and would be overwritten" in ended.err


@pytest.mark.parametrize("stored", ["/nowhere/at/all", 3, None])
def test_images_that_are_no_longer_where_the_run_had_them_are_sought_anew(trained, tmp_path, stored):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**settings, "data_dir": stored}))
    assert data_dir_of_run(run) is None
    (run / "config.yaml").write_text(yaml.safe_dump({**settings, "data_dir": str(tmp_path)}))
    assert data_dir_of_run(run) == tmp_path


def test_a_study_does_not_replace_anothers_report(tmp_path):
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


def test_studies_do_not_share_a_folder(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("transfer", "GTN-CartPole-v0", "GTN-CartPole-v0", "--steps", 100, "--no-controls", "--out", tmp_path)
    assert ended.code == 2
    assert "would share the folder" in ended.err


def test_a_folder_called_like_an_id_hides_nothing(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "GTN-CartPole-v0").mkdir()  # as a study leaves it
    for name in ("GTN-CartPole-v0", "gtn_envs:GTN-CartPole-v0"):
        shown = call("inspect", name, "--json")
        assert (shown.code, shown.json["task"]) == (0, "CartPole-v1")
    assert not list((tmp_path / "GTN-CartPole-v0").iterdir())


def test_a_misspelt_id_is_wrong_usage(call):
    ended = call("inspect", "GTN-CartPol-v0")
    assert (ended.code, "did you mean 'GTN-CartPole-v0'?" in ended.err) == (2, True)


def test_inspect_tells_what_it_can_where_no_picture_can_be_drawn(call, trained, tmp_path):
    shutil.copy(trained / "teacher.safetensors", tmp_path / "mine.safetensors")
    (tmp_path / "mine").write_text("a file where the pictures' folder would be")
    shown = call("inspect", tmp_path / "mine.safetensors", "--json")
    assert (shown.code, shown.json["task"], shown.json["pictures"]) == (0, "digits", None)
    assert "no picture: cannot create the folder" in shown.err
    assert call("inspect", tmp_path / "mine.safetensors", "--out", tmp_path / "mine").code == 2


def test_what_to_do_next_can_be_pasted(call, small, tmp_path):
    folder = tmp_path / "two words"
    told = call("meta-train", *small, "--iterations", 0, "--out", folder).out
    assert f"tensorboard --logdir '{folder}'" in told
    assert f"gtn-cli evaluate '{folder}'" in told
    file = tmp_path / "s t.safetensors"
    assert f"--env '{file}'" in call("export-dataset", "digits", "--out", file).out


def test_one_damaged_run_hides_no_other(call, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "good")
    shutil.copytree(trained, tmp_path / "bad")
    (tmp_path / "bad" / "config.yaml").write_text("task: x")
    bad, good = call("runs", tmp_path, "--json").json
    assert (good["state"], bad["task"]) == ("done", "x")
    assert "are not those of a run" in bad["state"]


def test_a_ground_truth_is_found_from_elsewhere(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = call("nas", "correlate", "--truth", "absent.json", "--ranker", "synflow")
    assert str(tmp_path / "absent.json") in ended.err


def test_runs_that_start_together_take_folders_of_their_own(start, small, tmp_path):
    together = [start("meta-train", *small, "--iterations", 1, "--json", cwd=tmp_path) for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in together]
    assert [process.returncode for process in together] == [0, 0], ends
    assert {json.loads(out)["run"] for out, _ in ends} == {"runs/digits-fast-1", "runs/digits-fast-2"}


def test_a_run_that_never_began_leaves_no_folder(call, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("meta-train", *small, "--iterations", 1, "--set", "learner.architecture=nobody:Knows").code == 2
    assert list(tmp_path.rglob("digits-*")) == []
