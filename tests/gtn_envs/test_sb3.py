"""``SB3VecEnv``, the adapter for Stable-Baselines3: against SB3's ``DummyVecEnv``, and in short trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import error, spaces
from gymnasium.wrappers import TimeLimit
from random_environments import environment, singles
from stable_baselines3 import DQN, PPO, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize

from gtn_envs import SyntheticEnv, SyntheticVectorEnv, make_weights
from gtn_envs.sb3 import SB3VecEnv


def adapter(id: str, num_envs: int, **arguments: Any) -> SB3VecEnv:
    return SB3VecEnv(gym.make_vec(id, num_envs=num_envs, autoreset_mode="SameStep", **arguments))


@pytest.mark.parametrize(
    "id", ["GTN-TestDiscrete-v0", "GTN-TestBox-v0", "GTN-TestEndless-v0", "GTN-TestBandit-v0", "GTN-TestStream-v0"]
)
def test_adapter_matches_dummy_vec_env(id: str, files: dict[str, Path]) -> None:
    ours, theirs = adapter(id, 3), DummyVecEnv(singles(id, 3))
    assert list(ours.seed(4)) == list(theirs.seed(4))
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    ours.action_space.seed(0)
    ends = 0
    for _ in range(60):
        actions = np.stack([ours.action_space.sample() for _ in range(3)])
        observations, rewards, dones, infos = ours.step(actions)
        expected, expected_rewards, expected_dones, expected_infos = theirs.step(actions)
        np.testing.assert_allclose(observations, expected, atol=1e-5)
        np.testing.assert_allclose(rewards, expected_rewards, atol=1e-5)
        np.testing.assert_array_equal(dones, expected_dones)
        assert [observations.dtype, rewards.dtype, dones.dtype] == [expected.dtype, expected_rewards.dtype, bool]
        for done, info, expected_info in zip(dones, infos, expected_infos, strict=True):
            assert info.get("TimeLimit.truncated", False) is bool(expected_info["TimeLimit.truncated"])
            assert ("terminal_observation" in info) is bool(done)
            if done:
                np.testing.assert_allclose(
                    info["terminal_observation"], expected_info["terminal_observation"], atol=1e-5
                )
                ends += 1
    assert ends > 3


def test_infos_are_separate_per_copy_and_step(files: dict[str, Path]) -> None:
    env = adapter("GTN-TestEndless-v0", 2)
    env.reset()
    *_, infos = env.step(np.zeros(2, int))
    infos[0]["mine"] = 1
    assert infos[1] == {}
    assert env.step(np.zeros(2, int))[3] == [{}, {}]


def test_attribute_access_and_rendering(files: dict[str, Path]) -> None:
    env = adapter("GTN-TestDiscrete-v0", 3, render_mode="rgb_array")
    for space in ("observation_space", "action_space"):
        assert env.get_attr(space) == DummyVecEnv(singles("GTN-TestDiscrete-v0", 3)).get_attr(space)
    assert env.get_attr("autoreset_mode", [0, 2]) == [env.env.autoreset_mode] * 2
    assert env.env_is_wrapped(TimeLimit) == [False] * 3
    env.reset()
    assert len(env.get_images()) == 3
    picture = env.render()
    assert picture is not None
    assert picture.shape[-1] == 3
    env.set_attr("note", 5)
    assert env.get_attr("note") == [5, 5, 5]
    with pytest.raises(ValueError, match="cannot be selected"):
        env.set_attr("note", 5, indices=[0])
    with pytest.raises(AttributeError):
        env.get_attr("absent")
    with pytest.raises(IndexError):
        env.get_attr("note", 7)
    assert env.metadata["render_fps"] == env.env.metadata["render_fps"]
    env.close()


def test_unsupported_environments_are_rejected(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="SB3 needs 'SameStep'"):
        SB3VecEnv(gym.make_vec("GTN-TestDiscrete-v0"))
    with pytest.raises(ValueError, match="SB3 needs numpy"):
        adapter("GTN-TestDiscrete-v0", 1, backend="torch")
    for other in (gym.make("GTN-TestDiscrete-v0"), gym.make_vec("CartPole-v1", num_envs=2)):
        with pytest.raises(TypeError, match="expected a SyntheticVectorEnv or DataStreamVectorEnv"):
            SB3VecEnv(other)  # type: ignore[arg-type]


def test_actions_outside_bounds_by_rounding_are_accepted() -> None:
    """SB3 computes actions as low + share * (high - low), which can exceed asymmetric bounds by one float32 ulp."""
    space = spaces.Box(-0.1, 0.2, (1,))
    weights = make_weights(*environment(task="Pendulum-v1", action_space=space))
    greatest = space.low + np.float32(0.5) * np.float32(2.0) * (space.high - space.low)
    assert greatest > space.high
    many = SyntheticVectorEnv(weights, 2, autoreset_mode="SameStep")
    for env in (SyntheticEnv(weights), many, SyntheticVectorEnv(weights, 2, backend="torch")):
        env.reset(seed=0)
        env.step(greatest if isinstance(env, SyntheticEnv) else np.stack([greatest, greatest]))
        with pytest.raises(error.InvalidAction):
            env.step(greatest + 1e-5 if isinstance(env, SyntheticEnv) else np.stack([greatest, greatest + 1e-5]))
    noise = NormalActionNoise(np.zeros(1), np.ones(1))
    for env in (SB3VecEnv(many), SyntheticEnv(weights)):
        TD3("MlpPolicy", env, action_noise=noise, learning_starts=20, policy_kwargs={"net_arch": [8]}, seed=0).learn(60)


def test_ppo_improves_reward_of_bandit(files: dict[str, Path]) -> None:
    """The best action depends on the context alone, so a few updates must raise the reward."""
    env = VecMonitor(adapter("GTN-TestBandit-v0", 32))
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=128, n_epochs=4, learning_rate=3e-3, gamma=0.0, seed=0)

    def reward() -> float:
        env.seed(99)
        observations, total = env.reset(), 0.0
        for _ in range(20):
            observations, rewards, _, _ = env.step(model.predict(observations, deterministic=True)[0])
            total += float(np.mean(rewards))
        return total / 20

    before = reward()
    model.learn(10 * 16 * 32)
    assert reward() > before + 0.05


def test_ppo_and_dqn_learn_from_adapter_and_learned_reward(files: dict[str, Path]) -> None:
    replay = {"learning_starts": 32, "buffer_size": 500}
    agents = [
        PPO("MlpPolicy", VecNormalize(adapter("GTN-TestBox-v0", 4)), n_steps=16, batch_size=32, n_epochs=1),
        DQN("MlpPolicy", adapter("GTN-TestDiscrete-v0", 4), **replay),
        DQN("MlpPolicy", "GTN-TestReward-v0", **replay),
    ]
    for agent in agents:
        before = [parameter.detach().clone() for parameter in agent.policy.parameters()]
        agent.learn(128)
        assert any((a != b).any() for a, b in zip(agent.policy.parameters(), before, strict=True))
        assert all(parameter.isfinite().all() for parameter in agent.policy.parameters())


@pytest.mark.slow
def test_spawned_subproc_vec_env_matches_adapter(files: dict[str, Path]) -> None:
    spec = gym.spec("GTN-TestDiscrete-v0")
    env = SubprocVecEnv([lambda: gym.make(spec)] * 2, start_method="spawn")
    ours = adapter("GTN-TestDiscrete-v0", 2)
    try:
        env.seed(3)
        ours.seed(3)
        np.testing.assert_array_equal(env.reset(), ours.reset())
        np.testing.assert_allclose(env.step(np.array([0, 1]))[0], ours.step(np.array([0, 1]))[0], atol=1e-5)
    finally:
        env.close()
