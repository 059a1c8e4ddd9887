"""``gtn-cli train-agent``: training, test on the real task, output, wrong usage and interrupts."""

import signal
import sys
import time

import pytest
import yaml
from PIL import Image

from gtn_cli.commands.train_agent import NAMES


def test_algorithm_names_match_registry():
    from gtn_rl.sb3.algorithms import ALGORITHMS

    assert tuple(ALGORITHMS) == NAMES


def test_agent_is_trained_tested_saved_and_recorded(call, tmp_path):
    config = tmp_path / "a2c.yml"
    config.write_text(
        yaml.safe_dump({"CartPole-v1": {"n_timesteps": 60, "policy": "MlpPolicy", "learning_rate": "lin_1e-3"}})
    )
    outcome = call(
        *("train-agent", "--env", "CartPole-v1", "--algo", "a2c", "--config", config, "--set", "gamma=9e-1"),
        *("--episodes", 3, "--n-envs", 2, "--save", tmp_path / "agents" / "a", "--video", tmp_path / "a.gif", "--json"),
        *("--tensorboard", tmp_path / "events"),
    )
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["steps"], result["updates"], result["real_task"]) == (60, 6, "CartPole-v1")
    assert result["settings"]["gamma"] == "9e-1"
    assert 8 <= result["deterministic"]["minimum"] <= result["stochastic"]["maximum"] <= 500
    assert result["saved"] == [str(tmp_path / "agents" / "a.zip")]
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames >= 4
    assert list((tmp_path / "events").rglob("events.*"))

    from stable_baselines3 import A2C

    assert A2C.load(tmp_path / "agents" / "a.zip").gamma == 0.9


def test_output_reports_return_steps_and_threshold(call):
    outcome = call("train-agent", "--env", "Pendulum-v1", "--algo", "td3", "--steps", 20, "--episodes", 1)
    assert outcome.code == 0, outcome.err
    assert "real return of td3 on Pendulum-v1" in outcome.out
    assert "20 steps" in outcome.out
    assert "solved from -200: not reached" in outcome.out


def test_no_eval_trains_without_the_real_tasks_package(call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "Box2D", None)  # as if the package were not installed
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    train = ("train-agent", "--env", "GTN-LunarLander-v0", "--steps", 20, "--algo", "dqn", "--save", tmp_path / "a.zip")
    assert "needs a package that is not installed" in call(*train).err
    outcome = call(*train, "--no-eval", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["saved"] == [str(tmp_path / "a.zip")]
    assert not {"real_task", "deterministic", "solved"} & outcome.json.keys()
    assert "trained in GTN-LunarLander-v0: 20 steps" in call(*train, "--no-eval").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--env", "CartPole-v1", "--no-eval", "--video", "film.gif"], 2, "that does not play takes neither"),
        (["--env", "CartPole-v1", "--algo", "pppo"], 2, "unknown algorithm 'pppo'; did you mean 'ppo'"),
        (["--env", "CartPole-v1", "--algo", "sac"], 2, "sac does not support the actions of CartPole-v1, Discrete(2)"),
        (["--env", "CartPole-v1", "--set", "lr=1"], 2, "unknown setting of ppo 'lr'"),
        (["--env", "CartPole-v1", "--eval", "Pendulum-v1"], 2, "cannot play Pendulum-v1: their spaces differ"),
        (["--env", "CartPole-v1", "--save", "/dev/null/agent.zip"], 2, "cannot write /dev/null/agent.zip"),
        (["--env", "CartPole-v1", "--video", "film.mp4"], 2, "must be a .gif file, got film.mp4"),
        (["--env", "CartPole-v1", "--config", "absent.yml"], 2, "cannot read the config absent.yml"),
        (
            ["--env", "CartPole-v1", "--algo", "trpo", "--config", "tuned"],
            2,
            "no tuned settings for trpo; available for",
        ),
        (["--env", "absent.safetensors"], 2, "environment file absent.safetensors does not exist"),
        (["--env", "Cart-v1"], 2, "unknown environment 'Cart-v1'"),
    ],
)
def test_wrong_usage_is_rejected(call, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    outcome = call("train-agent", *arguments)
    assert outcome.code == code
    assert words in outcome.err
    assert "Traceback" not in outcome.err


def test_data_dir_option_overrides_environment_variable(call, tmp_path, monkeypatch):
    monkeypatch.setenv("GTN_DATA_DIR", str(tmp_path / "of-the-variable"))
    given = tmp_path / "given"
    outcome = call("train-agent", "--env", "GTN-MNIST-Real-v0", "--steps", 5, "--data-dir", given)
    assert outcome.code == 1
    assert f"{given / 'mnist'}" in outcome.err
    assert "of-the-variable" not in outcome.err


@pytest.mark.slow
def test_interrupt_exits_with_130_and_saves_nothing(start, tmp_path):
    process = start(
        "train-agent", "--env", "CartPole-v1", "--steps", 10**7, "--save", tmp_path / "a.zip", "--tensorboard", tmp_path
    )
    while process.poll() is None and not list(tmp_path.rglob("events.*")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted after" in err
    assert not (tmp_path / "a.zip").exists()


def test_train_agent_and_transfer_modules_import_no_torch():
    import subprocess
    import sys

    program = (
        "import sys; from gtn_cli.commands import train_agent, transfer;"
        " sys.exit(any(m in sys.modules for m in ('torch', 'stable_baselines3')))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
