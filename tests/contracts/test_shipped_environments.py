"""The contract of every shipped environment and data stream; the real task's package is needed only for its spaces."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import error

from gtn_envs import load_environment, load_stream, read_document, shipped_ids

ENVIRONMENTS, STREAMS = shipped_ids("synthetic-environment"), shipped_ids("stream")
COPIES, STEPS = 3, 30


def assert_same(id: str, found: Any, expected: Any) -> None:
    """Streams are compared exactly, environments as docs/environments.md says: to 1e-5 of 1 + |x|."""
    tolerance = 0.0 if id in STREAMS else 1e-5
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=tolerance, atol=tolerance)


def actions_of(id: str, count: int = STEPS) -> list[Any]:
    """Returns batches of random actions, the same in every call."""
    space = gym.make_vec(id, num_envs=COPIES).action_space
    space.seed(0)
    return [space.sample() for _ in range(count)]


def played(envs: Any, actions: list[Any]) -> list[Any]:
    return [part for action in actions for part in envs.step(action)[:4]]


def test_every_task_is_shipped_as_mdp_and_bandit() -> None:
    tasks = {"CartPole", "Acrobot", "MountainCar", "Pendulum", "LunarLander", "HalfCheetah", "Hopper"}
    assert set(ENVIRONMENTS) == {f"GTN-{task}{form}-v0" for task in tasks for form in ("", "Bandit")}
    assert set(STREAMS) == {"GTN-Digits-v0", "GTN-MNIST-v0", "GTN-FashionMNIST-v0"}


def test_training_needs_neither_simulators_nor_torch() -> None:
    program = """
import sys
sys.modules.update({"mujoco": None, "Box2D": None, "torch": None})
import gymnasium as gym, gtn_envs
for id in gtn_envs.shipped_ids():
    for env in (gym.make(id), gym.make_vec(id, num_envs=2)):
        env.reset(seed=0)
        env.step(env.action_space.sample())
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("id", shipped_ids())
def test_torch_follows_trajectory_of_numpy(id: str) -> None:
    ours, theirs = (gym.make_vec(id, num_envs=COPIES, backend=backend) for backend in ("numpy", "torch"))
    np.testing.assert_array_equal(np.asarray(theirs.reset(seed=5)[0]), ours.reset(seed=5)[0])
    actions = actions_of(id)
    found = played(theirs, [torch.as_tensor(action) for action in actions])
    for part, expected in zip(found, played(ours, actions), strict=True):
        assert isinstance(part, torch.Tensor)
        assert_same(id, part, expected)


@pytest.mark.parametrize("id", shipped_ids())
def test_copies_follow_trajectory_of_single_environments(id: str) -> None:
    envs = gym.make_vec(id, num_envs=COPIES, autoreset_mode="SameStep")
    shares: list[dict[str, Any]] = [{"share": (i, COPIES)} if id in STREAMS else {} for i in range(COPIES)]
    alone = [gym.make(id, **share) for share in shares]
    starts = [env.reset(seed=5 + i)[0] for i, env in enumerate(alone)]
    np.testing.assert_array_equal(envs.reset(seed=5)[0], starts)
    for actions in actions_of(id):
        step = envs.step(actions)
        for i, env in enumerate(alone):
            observation, reward, terminated, truncated, _ = env.step(actions[i])
            assert (step[2][i], step[3][i]) == (terminated, truncated)
            assert_same(id, step[0][i], env.reset()[0] if terminated or truncated else observation)
            assert_same(id, step[1][i], reward)


@pytest.mark.parametrize("id", shipped_ids())
def test_seed_and_pickle_repeat_trajectory_exactly(id: str) -> None:
    one, other = gym.make(id), gym.make(id)
    for env in (one, other):
        env.reset(seed=7)
    envs, again = gym.make_vec(id, num_envs=COPIES), gym.make_vec(id, num_envs=COPIES)
    for vector in (envs, again):
        vector.reset(seed=7)
    actions = actions_of(id)
    for action in actions[: STEPS // 2]:
        step_alone(one, action[0]), step_alone(other, action[0])
        envs.step(action), again.step(action)
    other, again = pickle.loads(pickle.dumps(other)), pickle.loads(pickle.dumps(again))
    for action in actions[STEPS // 2 :]:
        for found, expected in zip(step_alone(other, action[0]), step_alone(one, action[0]), strict=True):
            np.testing.assert_array_equal(found, expected)
        for found, expected in zip(again.step(action)[:4], envs.step(action)[:4], strict=True):
            np.testing.assert_array_equal(found, expected)


def step_alone(env: Any, action: Any) -> tuple[Any, ...]:
    """Takes a step, and resets after an episode's end; the observation is then that of the reset."""
    observation, reward, terminated, truncated, _ = env.step(action)
    return env.reset()[0] if terminated or truncated else observation, reward, terminated, truncated


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_spaces_are_those_of_real_task(id: str) -> None:
    try:
        real = gym.make(load_environment(id).task)
    except error.DependencyNotInstalled as reason:
        pytest.skip(f"needs the real task's package: {reason}")
    env = gym.make(id)
    assert env.observation_space == real.observation_space
    assert env.action_space == real.action_space
    real.close()


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_header_of_environment_says_how_it_was_made_and_at_what_cost(id: str) -> None:
    document = read_document(id)
    task, form = id.removeprefix("GTN-").removesuffix("-v0"), "bandit" if "Bandit" in id else "mdp"
    assert document["form"] == form
    assert document["task"].startswith(task.removesuffix("Bandit"))
    assert document["command"].startswith(f"gtn-cli meta-train --task {document['task']} ")
    assert isinstance(document["seed"], int)
    assert isinstance(document["version"], str)
    assert document["stages"]
    for stage in document["stages"]:
        assert stage["name"]
        assert stage["cpu_seconds"] > 0
    assert document["metrics"]["meta_cpu_seconds"] > 0
    assert document["metrics"]["meta_real_steps"] > 0
    assert np.isfinite(document["metrics"]["score"])


@pytest.mark.parametrize("id", STREAMS)
def test_header_of_stream_says_how_its_teacher_was_made_and_at_what_cost(id: str) -> None:
    stream = load_stream(id)
    provenance = stream.document["provenance"]
    assert provenance["command"].startswith(f"gtn-cli meta-train --task {stream.task} ")
    assert isinstance(stream.document["seed"], int)
    assert all(provenance[key] > 0 for key in ("outer_steps", "cpu_seconds"))
    assert stream.document["metrics"]["real/validation_accuracy"] > 0.7
