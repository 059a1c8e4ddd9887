"""``LearnedReward``: a learned reward, or a learned potential, on top of the real task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import error
from random_environments import environment

from gtn_envs import LearnedReward, WeightsError, make_weights


def mlp(tensors: dict[str, Any], x: Any) -> Any:
    hidden = np.tanh(x @ tensors["reward.0.weight"] + tensors["reward.0.bias"])
    return hidden @ tensors["reward.1.weight"] + tensors["reward.1.bias"]


@pytest.mark.parametrize("in_memory", [False, True])
def test_state_action_reward_replaces_real_reward(in_memory: bool, files: dict[str, Path]) -> None:
    tensors, document = environment("reward", "CartPole-v1", 8)
    weights = make_weights(tensors, document) if in_memory else files["GTN-TestReward-v0"]
    env = LearnedReward(gym.make("CartPole-v1"), weights)
    assert env.spec is not None
    before, _ = env.reset(seed=0)
    for action in (0, 1, 1, 0):
        observation, reward, _, _, info = env.step(action)
        x = (before - tensors["observation.mean"]) / tensors["observation.std"]
        assert reward == pytest.approx(1.7 * mlp(tensors, x)[action], abs=1e-5)
        assert info == {"real_reward": 1.0}
        before = observation


def test_box_reward_is_negative_squared_distance_to_target(files: dict[str, Path]) -> None:
    tensors, _ = environment("reward", "Pendulum-v1", 9)
    env = LearnedReward(gym.make("Pendulum-v1"), files["GTN-TestBoxReward-v0"])
    before, _ = env.reset(seed=0)
    for action in (-2.0, 0.5, 2.0):
        observation, reward, *_ = env.step(np.array([action], np.float32))
        x = (before - tensors["observation.mean"]) / tensors["observation.std"]
        assert reward == pytest.approx(-1.7 * (action / 2 - np.tanh(mlp(tensors, x)[0])) ** 2, abs=1e-5)
        before = observation


def test_reward_that_reads_box_action_is_network_of_state_and_action(files: dict[str, Path]) -> None:
    tensors, _ = environment("reward", "Pendulum-v1", 18, reward_reads_action=True)
    env = LearnedReward(gym.make("Pendulum-v1"), files["GTN-TestActionRewardAlone-v0"])
    before, _ = env.reset(seed=0)
    for action in (-2.0, 0.5, 2.0):
        observation, reward, *_ = env.step(np.array([action], np.float32))
        x = (before - tensors["observation.mean"]) / tensors["observation.std"]
        assert reward == pytest.approx(1.7 * mlp(tensors, np.append(x, action / 2))[0], abs=1e-5)
        before = observation


def test_potential_shapes_real_reward(files: dict[str, Path]) -> None:
    tensors, _ = environment("reward", "CartPole-v1", 10, reward_mode="potential", gamma=0.99)

    def potential(observation: Any) -> float:
        return float(mlp(tensors, (observation - tensors["observation.mean"]) / tensors["observation.std"])[0])

    env = LearnedReward(gym.make("CartPole-v1"), files["GTN-TestPotential-v0"])
    for seed in range(2):
        before, _ = env.reset(seed=seed)
        terminated = False
        while not terminated:
            observation, reward, terminated, _, info = env.step(1)
            later = 0.0 if terminated else 0.99 * potential(observation)
            assert reward == pytest.approx(info["real_reward"] + later - potential(before), abs=1e-5)
            before = observation


def test_spec_of_relative_path_works_from_another_folder(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files["GTN-TestReward-v0"]
    monkeypatch.chdir(path.parent)
    env = LearnedReward(gym.make("CartPole-v1"), path.name)
    monkeypatch.chdir(tmp_path)
    assert env.spec is not None
    again = gym.make(env.spec)
    env.reset(seed=3), again.reset(seed=3)
    assert again.step(1)[1] == env.step(1)[1]


def test_wrong_spaces_and_whole_environments_are_rejected(files: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match=r"needs the observation space Box.*, but .*Acrobot.* has Box"):
        LearnedReward(gym.make("Acrobot-v1"), files["GTN-TestReward-v0"])
    with pytest.raises(WeightsError, match=r"is a whole environment \(mdp\), not a reward"):
        LearnedReward(gym.make("CartPole-v1"), files["GTN-TestDiscrete-v0"])


def test_step_before_reset_or_with_invalid_action_raises(files: dict[str, Path]) -> None:
    env = LearnedReward(gym.make("CartPole-v1").unwrapped, files["GTN-TestReward-v0"])
    with pytest.raises(error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    for action in (2, 0.5, None):
        with pytest.raises(error.InvalidAction, match=rf"action {action} .* is not in Discrete\(2\)"):
            env.step(action)
    box = LearnedReward(gym.make("Pendulum-v1"), files["GTN-TestBoxReward-v0"])
    box.reset(seed=0)
    with pytest.raises(error.InvalidAction, match="is not in Box"):
        box.step(np.zeros(2, np.float32))
