"""The example packages of user-defined tasks, as their READMEs use them: from the current folder, by ``package:id``."""

import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

import gtn_envs

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ID = "thermostat:Thermostat-v0"
QUICK = (
    "workers=1",
    "environment.harvest_episodes=10",
    "environment.centres=8",
    "agents.names=['short_agents:ShortDQN']",
    "agents.episodes=1",
    "agents.validation_seeds=1",
    "agents.validation_episodes=2",
    "stages=[{name: bilevel, population: 4, validations: 1, parts: [reward]}]",
)


def assigned(settings):
    return [word for setting in settings for word in ("--set", setting)]


def gtn_cli(*arguments):
    """Runs the command line in the examples folder like its console script: without that folder on Python's path."""
    program = "import sys; sys.path.remove(''); from gtn_cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True)


def test_example_environment_passes_gymnasium_checks(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    env = gym.make(ID)
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=0)
    total = sum(env.step(2)[1] for _ in range(100))  # heating all the time overshoots
    assert total < env.spec.reward_threshold


def test_readme_names_example_id_and_existing_commands():
    text = (EXAMPLES / "thermostat" / "README.md").read_text()
    from gtn_cli.main import COMMANDS

    assert ID in text
    assert set(re.findall(r"gtn-cli ([a-z-]+)", text)) <= COMMANDS.keys()


@pytest.mark.slow
def test_own_environment_meta_trains_trains_agent_and_transfers(tmp_path):
    run = tmp_path / "run"
    made = gtn_cli(
        "meta-train", "--task", ID, "--kind", "bandit", "--iterations", 2, *assigned(QUICK), "--out", run, "-q"
    )
    assert made.returncode == 0, made.stderr
    teacher = run / "teacher.safetensors"
    header = gtn_envs.read_document(teacher)
    assert header["task"] == ID
    assert header["metrics"]["meta_real_steps"] > 1000
    trained = gtn_cli("train-agent", "--env", teacher, "--algo", "a2c", "--steps", 50, "--episodes", 2)
    assert trained.returncode == 0, trained.stderr
    assert "real return of a2c on thermostat:Thermostat-v0" in trained.stdout
    assert "solved from -30: not reached" in trained.stdout
    study = ("--algo", "a2c", "--seeds", 1, "--steps", 20, "--episodes", 2, "--control-steps", 20, "--workers", 2)
    moved = gtn_cli("transfer", teacher, *study, "--out", tmp_path / "transfer")
    assert moved.returncode == 0, moved.stderr
    assert "real task" in moved.stdout


@pytest.mark.slow
def test_own_images_meta_train_evaluate_export_and_rank(tmp_path):
    run = tmp_path / "run"
    learner = "learner.architecture=base_fc:6,8,10"
    settings = assigned(("teacher.warm_start=3", "inner.steps=4", learner, "compute.plan.keep_last_k=2"))
    made = gtn_cli("meta-train", "--task", "shapes:shapes", *settings, "--iterations", 2, "--out", run, "-q")
    assert made.returncode == 0, made.stderr
    tested = gtn_cli("evaluate", run, "-n", 2, "--no-controls", "--curve-images", 0)
    assert tested.returncode == 0, tested.stderr
    assert "600 real images" in tested.stdout
    stream = tmp_path / "stream.safetensors"
    assert gtn_cli("export-dataset", run, "--out", stream).returncode == 0
    played = gtn_cli("train-agent", "--env", stream, "--algo", "ppo", "--steps", 64, "--set", "n_steps=64")
    assert played.returncode == 0, played.stderr
    assert "shapes:shapes" in played.stdout
    ranked = gtn_cli(
        *("nas", "rank", "--task", "shapes:shapes", "--count", 2, "--ranker", f"teacher@file={run}"),
        *("--ranker", "synflow", "--out", tmp_path / "nas"),
    )
    assert ranked.returncode == 0, ranked.stderr
