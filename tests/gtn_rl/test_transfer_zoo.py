"""Hyper-parameters in rl-zoo3's form: parsing, selection by task, and the settings ``varied`` and ``tuned``."""

import math

import numpy as np
import pytest
import torch

from gtn_core.config import read_yaml
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_envs import load_environment, save_environment
from gtn_rl.environments import find_environment
from gtn_rl.sb3.algorithms import algorithm
from gtn_rl.transfer.settings import TUNED, hyperparameters
from gtn_rl.transfer.single import request
from gtn_rl.transfer.training import make_agent
from gtn_rl.transfer.zoo import interpret, select


def test_interpret_parses_rl_zoo3_settings():
    given = {
        "n_timesteps": 1e5,
        "policy": "MlpPolicy",
        "n_envs": 8,
        "normalize": {"norm_reward": False},
        "learning_rate": "lin_3e-4",
        "clip_range": 0.2,
        "ent_coef": "1e-3",
        "policy_kwargs": "dict(log_std_init=-2, activation_fn=nn.ReLU, net_arch=dict(pi=[64, 32], vf=[64]))",
    }
    settings = interpret(given, algorithm("ppo"))
    assert (settings.n_timesteps, settings.n_envs, settings.normalize) == (100_000, 8, {"norm_reward": False})
    assert settings.arguments["learning_rate"](0.5) == pytest.approx(1.5e-4)
    assert settings.arguments["ent_coef"] == pytest.approx(1e-3)
    kwargs = settings.arguments["policy_kwargs"]
    assert kwargs == {"log_std_init": -2, "activation_fn": torch.nn.ReLU, "net_arch": {"pi": [64, 32], "vf": [64]}}


def test_interpret_parses_off_policy_settings():
    given = {"train_freq": [1, "episode"], "noise_type": "normal", "noise_std": 0.1, "env_wrapper": None}
    settings = interpret(given, algorithm("td3"))
    assert settings.arguments == {"train_freq": (1, "episode")}
    assert settings.noise == ("normal", 0.1)
    assert interpret({"ent_coef": "auto"}, algorithm("sac")).arguments == {"ent_coef": "auto"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"learning_rat": 1}, "did you mean 'learning_rate'"),
        ({"learning_rate": "fast"}, "a number or lin_NUMBER, got 'fast'"),
        ({"frame_stack": 4}, "'frame_stack' is not supported"),
        ({"batch_size": -1}, "'batch_size' must be a positive integer"),
        ({"n_steps": "1.5"}, "'n_steps' must be a positive integer"),
        ({"n_envs": 0}, "'n_envs' must be a positive integer"),
        ({"n_envs": True}, "'n_envs' must be a positive integer, got True"),
        ({"batch_size": True}, "'batch_size' must be a positive integer, got True"),
        ({"policy_kwargs": "dict(a=__import__('os'))"}, "cannot parse the setting 'policy_kwargs'"),
        ({"policy_kwargs": "dict(a=os.path)"}, "only names from torch.nn and torch.optim"),
        ({"noise_type": "pink"}, "unknown noise_type 'pink'"),
        ({"noise_type": "normal", "noise_std": "abc"}, "'noise_std' must be a non-negative number, got 'abc'"),
        ({"noise_type": "normal", "noise_std": True}, "'noise_std' must be a non-negative number, got True"),
        ({"noise_type": "normal", "noise_std": math.inf}, "'noise_std' must be a non-negative number, got inf"),
        ({"n_envs": math.inf}, "'n_envs' must be a positive integer, got inf"),
        ({"batch_size": math.inf}, "'batch_size' must be a positive integer, got inf"),
        ({"normalize": "yes"}, "'normalize' must be"),
        ({"normalize": True, "normalize_kwargs": 3}, "'normalize_kwargs' must be a dictionary"),
        ({"policy_kwargs": "foo"}, "'policy_kwargs' must be a dictionary"),
        ({"gamma": "abc"}, "'gamma' must be a number, got 'abc'"),
        ({"gamma": None}, "'gamma' must be a number, got None"),
        ({"stats_window_size": -1}, "'stats_window_size' must be a positive integer"),
    ],
)
def test_invalid_settings_are_rejected(given, words):
    with pytest.raises(UsageError, match=words):
        interpret(given, algorithm("ppo"))


@pytest.mark.parametrize(
    "given", [{"gradient_steps": 1.5}, {"train_freq": 0}, {"target_update_interval": 0.5}, {"batch_size": None}]
)
def test_invalid_dqn_settings_are_rejected(given):
    with pytest.raises(UsageError, match=f"{next(iter(given))!r} must be"):
        interpret(given, algorithm("dqn"))


def test_gradient_steps_of_minus_one_are_accepted():
    assert interpret({"gradient_steps": -1, "train_freq": [2, "step"]}, algorithm("dqn")).arguments == {
        "gradient_steps": -1,
        "train_freq": (2, "step"),
    }


@pytest.mark.parametrize("given", [{"device": "foo"}, {"policy_kwargs": {"net_arch": [-3]}}])
def test_settings_that_torch_rejects_raise_usage_error(given):
    entry = algorithm("dqn")
    with pytest.raises(UsageError, match="dqn rejects its settings"):
        make_agent(entry, find_environment("CartPole-v1"), interpret(given, entry), seed=0)


def test_select_finds_settings_by_task_and_algorithm():
    flat = {"learning_rate": 1, "policy_kwargs": {"net_arch": [8]}}
    assert select(flat, "ppo", ("A",), "f") == flat
    assert select({"A": flat}, "ppo", ("B", "A"), "f") == flat
    assert select({"ppo": {"default": flat}}, "ppo", ("A",), "f") == flat
    with pytest.raises(UsageError, match="f has no settings for ppo on B; it has: A"):
        select({"A": flat}, "ppo", ("B",), "f")


def test_settings_are_found_by_the_real_task_with_and_without_its_package(tmp_path):
    weights = load_environment("GTN-CartPole-v0")
    save_environment(tmp_path / "a.safetensors", weights.tensors, {**weights.document, "task": "gtn_envs:CartPole-v1"})
    for key in ("CartPole-v1", "gtn_envs:CartPole-v1"):
        wanted = request(str(tmp_path / "a.safetensors"), "ppo", config={key: {"gamma": 0.5}})
        assert wanted.given == {"gamma": 0.5}
    wanted = request("CartPole-v1", "ppo", task="GTN-CartPole-v0", config={"GTN-CartPole-v0": {"gamma": 0.5}})
    assert wanted.given == {"gamma": 0.5}


def test_varied_settings_stay_in_range_and_are_reproducible():
    drawn = [hyperparameters("varied", algorithm("ppo"), (), Streams(3), i) for i in range(60)]
    rates = np.array([settings["learning_rate"] for settings in drawn]) / 3e-4
    assert 1 / 3 <= rates.min() < 0.6
    assert 1.7 < rates.max() <= 3
    assert {len(settings["policy_kwargs"]["net_arch"]) for settings in drawn} == {1, 2, 3}
    assert all(21 <= settings["batch_size"] <= 192 for settings in drawn)
    assert hyperparameters("varied", algorithm("ppo"), (), Streams(3), 7) == drawn[7]
    assert "n_steps" in hyperparameters("varied", algorithm("a2c"), (), Streams(3), 0)
    assert set(hyperparameters("varied", algorithm("crossq"), (), Streams(3), 0)["policy_kwargs"]["net_arch"]) == {
        "pi",
        "qf",
    }


def test_tuned_settings_are_valid_and_missing_ones_rejected():
    files = list(TUNED.iterdir())
    assert {file.name for file in files} >= {"ppo.yaml", "dqn.yaml", "sac.yaml"}
    for file in files:
        entry = algorithm(file.stem)
        for task, given in read_yaml(file).items():  # rl-zoo3's layout: one file per algorithm, settings by task
            assert hyperparameters("tuned", entry, (task,), Streams(0), 0) == given
            assert interpret(given, entry).n_timesteps
    with pytest.raises(UsageError, match="no tuned settings for trpo"):
        hyperparameters("tuned", algorithm("trpo"), ("CartPole-v1",), Streams(0), 0)
