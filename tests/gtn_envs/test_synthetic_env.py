"""Single environments, learned ones and data streams: external checkers, seeds, pickles, time limits, errors."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import error
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from random_environments import REAL_STREAM, REWARDS, STREAMS, VARIANTS, environment
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import gtn_envs
from gtn_envs import SyntheticEnv, SyntheticVectorEnv, WeightsError, load_environment, make_weights
from gtn_envs.shipped import shipped_ids

SHIPPED_IDS = shipped_ids()

EVERY_KIND = [*VARIANTS, *STREAMS]

Trajectory = list[tuple[Any, ...]]


def trajectory(env: gym.Env[Any, Any], steps: int, seed: int | None = None) -> Trajectory:
    """Plays actions sampled from the action space, with a reset after each episode; returns all results."""
    if seed is not None:
        env.action_space.seed(seed)
        env.reset(seed=seed)
    record: Trajectory = []
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        record.append((observation.tolist(), reward, terminated, truncated))
        if terminated or truncated:
            record.append(env.reset()[0].tolist())
    return record


@pytest.mark.parametrize("id", [*EVERY_KIND, REAL_STREAM, *SHIPPED_IDS])
def test_gymnasium_checker_passes(id: str, files: dict[str, Path]) -> None:
    with warnings.catch_warnings():
        # About the real task's spaces, which an environment has to keep.
        warnings.filterwarnings("ignore", ".*(Box observation space|For Box action spaces).*", UserWarning)
        check_env(gym.make(id).unwrapped)


# The grid's actions start at 5, which SB3 does not support.
@pytest.mark.parametrize("id", sorted({*EVERY_KIND, *REWARDS, REAL_STREAM, *SHIPPED_IDS} - {"GTN-TestGrid-v0"}))
def test_sb3_checker_passes(id: str, files: dict[str, Path]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "We recommend you to use a symmetric", UserWarning)
        # SB3's default CNN needs larger images; ours does not.
        warnings.filterwarnings("ignore", "The minimal resolution for an image is 36x36", UserWarning)
        check_env_for_sb3(gym.make(id))


@pytest.mark.parametrize("id", EVERY_KIND)
def test_seed_determines_trajectory(id: str, files: dict[str, Path]) -> None:
    one, other = gym.make(id), gym.make(id)
    assert trajectory(one, 100, seed=7) == trajectory(other, 100, seed=7)
    assert trajectory(one, 100, seed=7) == trajectory(one, 100, seed=7)
    assert trajectory(one, 100, seed=8) != trajectory(other, 100, seed=7)


@pytest.mark.parametrize("duplicate", [lambda env: pickle.loads(pickle.dumps(env)), copy.deepcopy])
@pytest.mark.parametrize("id", EVERY_KIND)
def test_pickle_and_deepcopy_continue_trajectory(
    id: str, duplicate: Callable[[Any], Any], files: dict[str, Path]
) -> None:
    env = gym.make(id, render_mode="rgb_array")
    trajectory(env, 45, seed=3)
    env.reset()
    other = duplicate(env)
    # In bandits every step ends an episode, so they use up the block of initial states that was drawn ahead.
    assert trajectory(env, 400) == trajectory(other, 400)


@pytest.mark.parametrize("id", VARIANTS)
def test_in_memory_environment_matches_file(id: str, files: dict[str, Path]) -> None:
    weights = make_weights(*environment(**VARIANTS[id]))
    assert weights.path is None
    assert load_environment(weights) is weights
    in_memory, from_file = SyntheticEnv(weights), SyntheticEnv(files[id])
    assert trajectory(in_memory, 40, seed=3) == trajectory(from_file, 40, seed=3)
    assert trajectory(pickle.loads(pickle.dumps(in_memory)), 5) == trajectory(from_file, 5)
    first = SyntheticVectorEnv(weights, 3).reset(seed=3)[0]
    np.testing.assert_array_equal(first[0], from_file.reset(seed=3)[0])


def test_make_weights_copies_and_validates_tensors() -> None:
    tensors, document = environment()
    given = tensors["reward.0.bias"]
    weights = make_weights(tensors, document)
    given += 1
    assert not np.array_equal(weights.tensors["reward.0.bias"], given)
    with pytest.raises(ValueError, match="read-only"):
        weights.tensors["reward.0.bias"][0] = 0
    del tensors["reward.1.bias"]
    with pytest.raises(WeightsError, match=r"^the environment lacks the tensor 'reward\.1\.bias'"):
        make_weights(tensors, document)
    reward = make_weights(*environment(form="reward"), source="mine")
    with pytest.raises(WeightsError, match="mine is a reward for CartPole-v1, not an environment"):
        SyntheticEnv(reward)


def test_initial_states_differ_between_episodes(files: dict[str, Path]) -> None:
    env = gym.make("GTN-TestBandit-v0")
    env.reset(seed=0)
    states = {tuple(env.reset()[0].tolist()) for _ in range(100)}
    assert len(states) == 100


@pytest.mark.parametrize("id", ["GTN-TestDiscrete-v0", "GTN-TestBandit-v0"])
def test_step_after_termination_raises(id: str, files: dict[str, Path]) -> None:
    env = SyntheticEnv(files[id])
    env.reset(seed=0)
    while not env.step(env.action_space.sample())[2]:
        pass
    with pytest.raises(gym.error.ResetNeeded, match="after an episode's end"):
        env.step(env.action_space.sample())
    env.reset()
    env.step(env.action_space.sample())


def test_modifying_observations_does_not_affect_environment(files: dict[str, Path]) -> None:
    for id in ("GTN-TestEndless-v0", "GTN-TestBandit-v0", "GTN-TestGrid-v0"):
        env, other = SyntheticEnv(files[id]), SyntheticEnv(files[id])
        action = env.action_space.sample()
        for reset in (env.reset, other.reset):
            observation, _ = reset(seed=1)
        env.reset(seed=1)[0][:] = 9
        for _ in range(3):
            observation, reward, ended, *_ = env.step(action)
            expected, expected_reward, *_ = other.step(action)
            np.testing.assert_array_equal(observation, expected)
            assert reward == expected_reward
            observation[:] = 9
            if ended:
                env.reset()
                other.reset()


def test_spaces_are_not_shared_between_environments() -> None:
    one, other = gym.make("GTN-CartPole-v0"), gym.make("GTN-CartPole-v0")
    one.action_space.seed(0)
    alone = [one.action_space.sample() for _ in range(20)]
    one.action_space.seed(0)
    beside = []
    for _ in range(20):
        other.action_space.sample()
        beside.append(one.action_space.sample())
    assert beside == alone
    before = other.observation_space.high.copy()
    one.observation_space.high[0] = 1e-3
    np.testing.assert_array_equal(gym.make("GTN-CartPole-v0").observation_space.high, before)


def test_replaced_np_random_determines_initial_states(files: dict[str, Path]) -> None:
    starts = []
    for seed in (0, 1):
        env = SyntheticEnv(files["GTN-TestDiscrete-v0"])
        env.reset(seed=seed)
        env.np_random = np.random.default_rng(7)
        starts.append([env.reset()[0].tolist() for _ in range(3)])
    assert starts[0] == starts[1]


def test_gymnasium_time_limit_applies_and_can_be_changed(files: dict[str, Path]) -> None:
    def length(env: gym.Env[Any, Any]) -> int:
        env.reset(seed=0)
        return next(step for step in range(1, 100) if env.step(0)[3])

    id = "GTN-TestEndless-v0"
    assert length(gym.make(id)) == 20
    assert length(gym.make(id, max_episode_steps=7)) == 7
    unlimited = gym.make(id, max_episode_steps=-1)
    assert not isinstance(unlimited, TimeLimit)
    unlimited.reset(seed=0)
    assert not any(unlimited.step(0)[3] for _ in range(50))


def test_bandit_terminates_after_one_step(files: dict[str, Path]) -> None:
    env = gym.make("GTN-TestBandit-v0")
    context, _ = env.reset(seed=0)
    observation, _, terminated, _, _ = env.step(1)
    assert terminated
    np.testing.assert_array_equal(observation, context)


@pytest.mark.parametrize(
    ("id", "action"),
    [
        ("GTN-TestDiscrete-v0", 2),
        ("GTN-TestDiscrete-v0", -1),
        ("GTN-TestDiscrete-v0", 0.0),
        ("GTN-TestDiscrete-v0", None),
        ("GTN-TestDiscrete-v0", np.array([0])),
        ("GTN-TestGrid-v0", 4),
        ("GTN-TestGrid-v0", 8),
        ("GTN-TestBox-v0", [2.1]),
        ("GTN-TestBox-v0", [float("nan")]),
        ("GTN-TestBox-v0", [0.0, 0.0]),
        ("GTN-TestBox-v0", 0.0),
        ("GTN-TestBox-v0", "left"),
        ("GTN-TestStream-v0", 3),
        ("GTN-TestStream-v0", -1),
        ("GTN-TestStream-v0", 1.0),
    ],
)
def test_invalid_action_raises(id: str, action: Any, files: dict[str, Path]) -> None:
    env = gym.make(id).unwrapped
    env.reset(seed=0)
    with pytest.raises(error.InvalidAction, match=r"is not in (Discrete|Box)"):
        env.step(action)


@pytest.mark.parametrize("action", [1, np.int64(1), np.array(1), np.uint8(1)])
def test_discrete_action_may_be_any_integer_type(action: Any, files: dict[str, Path]) -> None:
    env = SyntheticEnv(files["GTN-TestDiscrete-v0"])
    env.reset(seed=0)
    expected = env.step(1)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.step(action)[0], expected[0])


@pytest.mark.parametrize("id", ["GTN-TestDiscrete-v0", "GTN-TestStream-v0"])
def test_step_and_render_before_reset_raise(id: str, files: dict[str, Path]) -> None:
    env = gym.make(id, render_mode="rgb_array").unwrapped
    with pytest.raises(error.ResetNeeded):
        env.step(0)
    with pytest.raises(error.ResetNeeded):
        env.render()


def test_reward_file_is_rejected(files: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match="is a reward for CartPole-v1, not an environment: use LearnedReward"):
        SyntheticEnv(files["GTN-TestReward-v0"])


def test_all_public_names_exist() -> None:
    assert all(hasattr(gtn_envs, name) for name in gtn_envs.__all__)
