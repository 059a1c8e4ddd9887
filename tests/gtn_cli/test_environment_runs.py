"""Meta-training of an environment on the command line: run folder, listing, inspection, messages and resume."""

import json
import signal
import time

import gymnasium as gym
import pytest
from PIL import Image

import gtn_envs
from gtn_cli.main import main

SMALL = (
    *("--task", "CartPole-v1", "--kind", "bandit", "--set", "environment.harvest_episodes=8"),
    *("--set", "environment.hidden=[4]", "--set", "environment.centres=4", "--set", "agents.episodes=1"),
    *("--set", "agents.names=['short_agents:ShortDQN']"),
    *("--set", "agents.validation_seeds=1", "--set", "agents.validation_episodes=1"),
    *("--set", "stages=[{name: greedy, population: 4, validations: 1, sigma: 0.3, parts: [reward]}]"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a finished run, which evolved the reward's greedy policy for three outer steps."""
    folder = tmp_path_factory.mktemp("runs") / "cartpole"
    with pytest.raises(SystemExit) as caught:
        main(["meta-train", *SMALL, "--iterations", "3", "--out", str(folder), "--quiet"])
    assert caught.value.code == 0
    return folder


def test_meta_train_writes_run_folder_log_and_metrics(made):
    expected = {"config.yaml", "metrics.jsonl", "tensorboard", "state", "stages", "stages.json", "teacher.safetensors"}
    assert {path.name for path in made.iterdir()} == expected | {"report", "run.log", "command.txt"}
    assert {path.name for path in (made / "report").iterdir()} == {"curves.png", "episodes.png"}
    with Image.open(made / "report" / "curves.png") as curves:
        assert curves.width > 1000
    log = (made / "run.log").read_text()
    assert "stage 1 of 1: greedy" in log
    assert "3 outer steps" in log
    rows = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    assert {
        "meta/fitness",
        "meta/fitness_of_mean",
        "meta/fitness_worst",
        "cost/real_steps",
        "cost/cpu_seconds",
    } <= rows[1].keys()
    assert [row["iteration"] for row in rows if "real/score" in row] == [0, 3]


def test_runs_shows_progress_cost_and_broken_runs(call, made, tmp_path):
    (row,) = call("runs", made.parent, "--json").json
    assert (row["task"], row["kind"], row["steps"], row["state"]) == ("CartPole-v1", "bandit", 3, "done")
    assert row["real_steps"] == gtn_envs.read_document(made / "teacher.safetensors")["metrics"]["meta_real_steps"]
    assert row["cpu_seconds"] > 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.yaml").write_text("task: CartPole-v1\nstages: 3\n")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.yaml").write_bytes((made / "config.yaml").read_bytes())
    begun, broken = call("runs", tmp_path, "--json").json
    assert begun["state"] == "0%"
    assert "stages" in broken["state"]
    assert "gtn-cli meta-train --resume RUN" in call("runs", tmp_path).out


def test_inspect_shows_stages_cost_and_picture(call, made, tmp_path):
    outcome = call("inspect", made, "--out", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "sigma: 0.3, parts: [reward]" in " ".join(outcome.out.replace("│", " ").split())  # in the recorded command
    for words in ("Discrete(2)", "greedy", "real steps", "CPU-seconds", "stages.1-greedy.sigma", "initial.means"):
        assert words in outcome.out
    assert [path.name for path in tmp_path.iterdir()] == ["episodes.png"]
    found = call("inspect", made / "teacher.safetensors", "--out", tmp_path, "--json").json
    assert found["stages"][0]["outer_steps"] == 3
    assert found["picture"] == str(tmp_path / "episodes.png")


def test_inspect_of_shipped_environment_writes_nothing(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call("inspect", "GTN-Pendulum-v0")
    assert outcome.code == 0, outcome.err
    assert "picture" not in outcome.out
    assert list(tmp_path.iterdir()) == []
    rows = [[cell.strip() for cell in line.split("│")] for line in outcome.out.splitlines()]
    fit, judge = (next(row for row in rows if row[1:2] == [name]) for name in ("fit", "judge"))
    assert fit[2:5] == ["", "0.9996", "yes"]
    assert judge[2:5] == ["", "-120.9", ""]  # the stage changes nothing, so it compares nothing


def test_train_agent_accepts_run_folder(call, made):
    outcome = call("train-agent", "--env", made, "--algo", "a2c", "--steps", 20, "--episodes", 1, "--json")
    assert (outcome.json["env"], outcome.json["real_task"]) == (str(made), "CartPole-v1")


def test_device_option_is_validated_and_stored(call, tmp_path):
    assert "unknown device 'warp'" in call("meta-train", *SMALL, "--iterations", 1, "--device", "warp").err
    run = tmp_path / "r"
    assert call("meta-train", *SMALL, "--iterations", 1, "--device", "auto", "--out", run, "-q").code == 0
    assert gtn_envs.read_document(run / "teacher.safetensors")["config"]["device"] in ("cpu", "cuda")


def test_finished_run_reports_result_and_rejects_new_budget(call, made, tmp_path):
    outcome = call("meta-train", *SMALL, "--iterations", 1, "--out", tmp_path / "r")
    assert outcome.code == 0
    for words in (
        "teacher.safetensors",
        "mean real return",
        "real steps",
        "tensorboard --logdir",
        "gtn-cli train-agent",
    ):
        assert words in outcome.out
    again = call("meta-train", "--resume", tmp_path / "r", "--json").json
    assert (again["iterations"], len(again["stages"])) == (1, 1)
    assert again["real_steps"] == again["stages"][0]["real_steps"] > 0
    assert again["seconds"] > 0
    more = call("meta-train", "--resume", tmp_path / "r", "--iterations", 5)
    assert more.code == 2
    assert "takes no further budget" in more.err
    assert f"--from {tmp_path / 'r'}" in more.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--minutes", 1, "--iterations", 5), "either --iterations or --minutes"),
        (("--data-dir", "."), "CartPole-v1 is an environment, which has no image files"),
    ],
)
def test_resume_rejects_two_budgets_and_data_dir(call, made, options, words):
    settings = (made / "config.yaml").read_bytes()
    outcome = call("meta-train", "--resume", made, *options)
    assert outcome.code == 2, outcome
    assert words in outcome.err
    assert (made / "config.yaml").read_bytes() == settings


@pytest.mark.slow
def test_interrupted_run_can_be_resumed(call, start, tmp_path):
    folder = tmp_path / "r"
    process = start("meta-train", *SMALL, "--iterations", 100_000, "--out", folder)
    while process.poll() is None and not list(folder.glob("stages/*/state/latest.safetensors")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"resume with: gtn-cli meta-train --resume {folder}" in err
    (row,) = call("runs", tmp_path, "--json").json
    assert row["state"].endswith("%, greedy")
    outcome = call("meta-train", "--resume", folder, "--iterations", row["steps"] + 1, "--json")
    assert outcome.json["iterations"] == row["steps"] + 1
    header = gtn_envs.read_document(folder / "teacher.safetensors")
    assert header["command"].startswith("gtn-cli meta-train --task CartPole-v1")
    gym.make(gtn_envs.register_from_file(folder / "teacher.safetensors", "GTN-Interrupted-v0")).reset()


@pytest.mark.slow
def test_agent_trains_on_real_task_with_learned_reward(call, tmp_path):
    given = (*SMALL, "--kind", "reward", "--iterations", 1, "--out", tmp_path / "r")
    outcome = call("meta-train", *given)
    assert outcome.code == 0, outcome.err
    assert "a learned reward for CartPole-v1" in outcome.err
    teacher = tmp_path / "r" / "teacher.safetensors"
    trained = call("train-agent", "--env", teacher, "--algo", "a2c", "--steps", 40, "--episodes", 2, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["real_task"] == "CartPole-v1"
    assert call("inspect", teacher, "--out", tmp_path, "--json").json["reward_mode"] == "state-action"
