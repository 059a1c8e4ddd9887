"""Agents of data streams: real tasks, convolutional policies, and accuracy on the real test split."""

import dataclasses
import sys

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.torch_layers import NatureCNN

import gtn_envs
from gtn_core.config import read_yaml
from gtn_core.errors import GTNError
from gtn_core.seeding import Streams
from gtn_envs.sb3 import SB3VecEnv
from gtn_rl.environments import find_environment
from gtn_rl.sb3.algorithms import ALGORITHMS, algorithm
from gtn_rl.sb3.small_cnn import SmallCNN, fitting_policy
from gtn_rl.transfer.agents import REAL, TEACHER, AgentJob, run_job
from gtn_rl.transfer.evaluator import evaluator_of
from gtn_rl.transfer.plan import TransferPlan
from gtn_rl.transfer.real_accuracy import RealImages
from gtn_rl.transfer.real_returns import RealTask, acting
from gtn_rl.transfer.report import result_table, write_transfer_report
from gtn_rl.transfer.settings import hyperparameters, tuned_file
from gtn_rl.transfer.study import study
from gtn_rl.transfer.training import make_agent, train
from gtn_rl.transfer.zoo import interpret

SYNTHETIC, REAL_ID = "GTN-Digits-v0", "GTN-Digits-Real-v0"


def made(name, env=SYNTHETIC, **given):
    entry = algorithm(name)
    return make_agent(entry, find_environment(env), interpret(given, entry), seed=0)


def test_stream_environment_knows_its_real_task():
    synthetic, real = find_environment(SYNTHETIC), find_environment(REAL_ID)
    assert (synthetic.stream, synthetic.real_task, synthetic.judged) == (True, REAL_ID, {})
    assert (real.stream, real.real_task, real.judged) == (True, REAL_ID, {"split": "test"})
    assert synthetic.listed_as() == (SYNTHETIC, REAL_ID)
    assert synthetic.digest is not None
    assert real.file is None
    assert find_environment(str(synthetic.file)).real_task == REAL_ID


def test_missing_or_unreadable_data_set_is_rejected(monkeypatch, tmp_path):
    monkeypatch.setenv("GTN_DATA_DIR", str(tmp_path))
    with pytest.raises(GTNError, match="does not exist; run `gtn-cli tasks --download mnist`"):
        find_environment("GTN-MNIST-Real-v0")
    (tmp_path / "digits.npz").write_bytes(b"")
    with pytest.raises(GTNError, match=r"digits.npz: not a readable .npz file"):
        find_environment(str(tmp_path / "digits.npz"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The path of a user's own images, which the importable module ``my_greys`` also holds."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (40, 8, 8)).astype(np.uint8), np.arange(40) % 4
    path = tmp_path / "greys.npz"
    np.savez(path, train_images=images, train_labels=labels, test_images=images[:12], test_labels=labels[:12])
    module = f"import numpy as np\nfrom gtn_sl.data import image_task\ngreys = image_task('Greys', **np.load({str(path)!r}))\n"
    (tmp_path / "my_greys.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("my_greys", None)


@pytest.mark.parametrize("named", ["file", "module"])
def test_own_images_can_be_used_as_an_environment(own, named):
    name = str(own) if named == "file" else "my_greys:greys"
    env = find_environment(name)
    assert (env.stream, env.judged, env.full_id) == (True, {"split": "test"}, name)
    assert (env.observation_space.shape, env.action_space.n) == ((8, 8, 1), 4)
    judge = RealImages(env.id, env.judged)
    assert (judge.count, judge.returns(lambda seen: np.zeros(len(seen), int), 0).mean()) == (12, 0.25)
    assert find_environment(name).id == env.id


def test_stream_of_own_images_has_them_as_real_task(own, tmp_path):
    images, labels = np.zeros((1, 8, 8, 8, 1), np.uint8), np.eye(4)[np.arange(8) % 4][None]
    document = {"task": str(own), "class_names": list("0123"), "mean": [0.5], "std": [0.3]}
    gtn_envs.save_stream(tmp_path / "s.safetensors", gtn_envs.make_stream(images, labels, document))
    assert find_environment(str(tmp_path / "s.safetensors")).real_task == str(own)


def test_stream_of_unknown_data_set_is_its_own_real_task(own, tmp_path):
    images, labels = np.zeros((1, 8, 8, 8, 1), np.uint8), np.eye(4)[np.arange(8) % 4][None]
    document = {"task": "mine", "class_names": list("0123"), "mean": [0.5], "std": [0.3]}
    path = tmp_path / "s.safetensors"
    gtn_envs.save_stream(path, gtn_envs.make_stream(images, labels, document))
    found = find_environment(str(path))
    assert found.real_task == found.full_id == str(path)


@pytest.mark.parametrize("named", ["file", "module"])
def test_own_images_are_identified_by_their_content(own, named):
    name = str(own) if named == "file" else "my_greys:greys"
    before = find_environment(name)
    job = AgentJob(
        TEACHER, name, before.digest, name, "ppo", "default", 0, 0, (10,), 2, None, task_digest=before.digest
    )
    assert len(before.digest) == 12
    arrays = dict(np.load(own))
    np.savez(own, **arrays | {"test_labels": arrays["test_labels"][::-1]})
    sys.modules.pop("my_greys", None)
    after = find_environment(name)
    assert after.digest != before.digest
    assert dataclasses.replace(job, digest=after.digest, task_digest=after.digest).identity != job.identity
    with pytest.raises(GTNError, match="has changed since this study began"):
        run_job(job)


SMALL, LARGE = gym.spaces.Box(0, 255, (8, 8, 1), np.uint8), gym.spaces.Box(0, 255, (3, 40, 40), np.uint8)


@pytest.mark.parametrize(
    ("name", "space", "policy", "expected", "small"),
    [
        ("ppo", SMALL, None, "CnnPolicy", True),
        ("dqn", SMALL, "CnnPolicy", "CnnPolicy", True),
        ("ppo", SMALL, "MlpPolicy", "MlpPolicy", False),
        ("ppo_lstm", SMALL, None, "CnnLstmPolicy", True),
        ("ars", SMALL, None, "MlpPolicy", False),
        ("ppo", LARGE, None, "CnnPolicy", False),
        ("ppo", gym.spaces.Box(-1, 1, (4,)), None, "MlpPolicy", False),
    ],
)
def test_default_policy_and_extractor_fit_the_observations(name, space, policy, expected, small):
    chosen, arguments = fitting_policy(algorithm(name), space, policy, {"net_arch": [5]})
    assert chosen == expected
    assert arguments == {"net_arch": [5], **({"features_extractor_class": SmallCNN} if small else {})}
    kept = fitting_policy(algorithm(name), space, policy, {"features_extractor_class": NatureCNN})[1]
    assert kept == {"features_extractor_class": NatureCNN}


@pytest.mark.parametrize("name", sorted(n for n, entry in ALGORITHMS.items() if entry.actions != "continuous"))
def test_every_algorithm_trains_in_a_stream(name):
    given = {
        "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "n_envs": 4},
        "dqn": {"learning_starts": 8, "buffer_size": 100},
        "qrdqn": {"learning_starts": 8, "buffer_size": 100},
        "trpo": {"n_steps": 16, "batch_size": 16},
        "ppo_lstm": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
        "ars": {"n_delta": 1, "n_top": 1},
    }.get(name, {})
    agent = made(name, **given)
    train(agent, [32], lambda stop: True)
    correct = evaluator_of(find_environment(REAL_ID), 5).returns(acting(agent, deterministic=True, seed=0), seed=0)
    assert correct.shape == (597,)
    assert set(np.unique(correct)) <= {0.0, 1.0}


def test_stream_evaluator_shows_every_test_image_once():
    judge = evaluator_of(find_environment(REAL_ID), 3)
    assert isinstance(judge, RealImages)
    assert (judge.measure, judge.counted, judge.count) == ("accuracy", "images", 597)
    labels = gym.make(REAL_ID, split="test").unwrapped.stream.labels[0].argmax(1)
    for seed in range(2):  # exact for any order only if every image is shown once
        assert judge.returns(lambda images: np.full(len(images), 3), seed).mean() == (labels == 3).mean()
    with_a_limit = evaluator_of(find_environment("CartPole-v1"), 3)
    assert isinstance(with_a_limit, RealTask)
    assert (with_a_limit.measure, with_a_limit.counted, with_a_limit.count) == ("return", "episodes", 3)


def test_vectorised_stream_gets_channels_first_and_small_cnn():
    agent = made("ppo", n_envs=16)
    assert agent.env is not None
    assert isinstance(agent.env.unwrapped, SB3VecEnv)
    assert agent.observation_space.shape == (1, 8, 8)
    assert agent.env.reset().shape == (16, 1, 8, 8)
    assert isinstance(agent.policy.features_extractor, SmallCNN)


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_tuned_settings_exist_for_every_stream(name):
    for tasks in (("x", id) for id in ("GTN-Digits-Real-v0", "GTN-MNIST-Real-v0", "GTN-FashionMNIST-Real-v0")):
        given = hyperparameters("tuned", algorithm(name), tasks, Streams(0), 0)
        assert given["gamma"] == 0.0  # an action has no influence on what comes next
        assert given["policy"] == "CnnPolicy"
        interpret(given, algorithm(name))
    assert "GTN-Digits-Real-v0" in read_yaml(tuned_file(algorithm(name)))


def test_transfer_study_of_a_stream_reports_accuracies(tmp_path):
    env = find_environment(SYNTHETIC)
    plan = TransferPlan(algorithms=("a2c",), agents=1, steps=(20,), episodes=2, control_steps=50)
    transfer = study(env, env.real_task, plan, tmp_path, lambda *_: None)
    assert [curve.role for curve in transfer.curves] == [TEACHER, REAL]
    assert all(0 <= curve.points[0].deterministic.mean <= 1 for curve in transfer.curves)
    assert all(float(row["mean"]) <= 1 for row in result_table(transfer))
    write_transfer_report(tmp_path, transfer, "command")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps", "least"), [("ppo", 10_240, 0.8), ("dqn", 3_000, 0.6)])
def test_agents_learn_to_classify_real_images(name, steps, least):
    """Chance is 0.1."""
    entry, env = algorithm(name), find_environment(SYNTHETIC)
    settings = hyperparameters("tuned", entry, env.listed_as(), Streams(0), 0)
    agent = make_agent(entry, env, interpret(settings, entry), seed=0)
    train(agent, [steps], lambda stop: True, whole_rollouts=True)
    judge = evaluator_of(find_environment(env.real_task), 1)
    assert judge.returns(acting(agent, deterministic=True, seed=0), seed=0).mean() >= least
