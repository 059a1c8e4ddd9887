"""Returns of agents on the real task: one episode per copy, random states, and the types of observations."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from gtn_rl.environments import find_environment
from gtn_rl.sb3.algorithms import algorithm
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.transfer import real_returns
from gtn_rl.transfer.real_returns import RealTask, acting
from gtn_rl.transfer.training import make_agent
from gtn_rl.transfer.zoo import interpret


def right_when_leaning_right(observations):
    return (observations[:, 2] > 0).astype(np.int64)


def test_returns_are_those_of_one_episode_per_copy():
    task = RealTask("MountainCarContinuous-v0", 3)  # has no vector environment of its own
    push = np.ones((3, 1), np.float32)
    returns = task.returns(lambda _: push, seed=5)
    expected = []
    for seed in np.random.SeedSequence(5).generate_state(3):
        env = gym.make("MountainCarContinuous-v0")
        env.reset(seed=int(seed) % 2**31)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(push[0])
            total, over = total + float(reward), terminated or truncated
        expected.append(total)
    np.testing.assert_allclose(returns, expected)


def test_native_and_listed_copies_give_similar_mean_returns():
    native, listed = RealTask("CartPole-v1", 300), RealTask("CartPole-v1", 300)
    listed._copies = real_returns._ListedCopies("CartPole-v1", 300)
    a, b = (task.returns(right_when_leaning_right, seed=1) for task in (native, listed))
    assert abs(a.mean() - b.mean()) < 4 * np.sqrt((a.var() + b.var()) / 300)
    np.testing.assert_array_equal(a, native.returns(right_when_leaning_right, seed=1))


def test_evaluation_leaves_random_states_unchanged():
    entry = algorithm("dqn")
    agent = make_agent(entry, find_environment("CartPole-v1"), interpret({"buffer_size": 100}, entry), seed=0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), agent.action_space.np_random.bit_generator.state
    task = RealTask("CartPole-v1", 4)
    sampled = task.returns(acting(agent, deterministic=False, seed=1), seed=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert agent.action_space.np_random.bit_generator.state == before[2]
    np.testing.assert_array_equal(sampled, task.returns(acting(agent, deterministic=False, seed=1), seed=1))


def made(name, **given):
    entry = algorithm(name)
    return make_agent(entry, find_environment("CartPole-v1"), interpret(given, entry), seed=0)


def test_recurrent_agent_keeps_its_state_within_an_episode():
    agent = made("ppo_lstm")
    seen = np.random.default_rng(0).normal(size=(20, 16, 4)).astype(np.float32)
    act = acting(agent, deterministic=True, seed=0)
    found = np.stack([act(observations) for observations in seen])
    state, expected = None, []
    for t, observations in enumerate(seen):
        actions, state = agent.predict(observations, state, np.full(16, t == 0), deterministic=True)
        expected.append(actions)
    np.testing.assert_array_equal(found, expected)
    forgetful = [agent.predict(observations, deterministic=True)[0] for observations in seen]
    assert (found != forgetful).any()
    assert RealTask("CartPole-v1", 3).returns(acting(agent, deterministic=True, seed=0), seed=0).shape == (3,)


def test_normalising_agent_sees_observations_as_in_training():
    agent = made("ppo", normalize=True, n_envs=2)
    statistics = agent.get_vec_normalize_env().obs_rms
    statistics.mean, statistics.var = np.array([0.0, 0.0, 0.1, 0.0]), np.full(4, 0.04)
    seen = np.random.default_rng(0).normal(0, 0.3, (100, 4)).astype(np.float32)
    found = acting(agent, deterministic=True, seed=0)(seen)
    normalised = ((seen - statistics.mean) / 0.2).clip(-10, 10).astype(np.float32)
    np.testing.assert_array_equal(found, agent.predict(normalised, deterministic=True)[0])
    assert (found != agent.predict(seen, deterministic=True)[0]).any()


@pytest.mark.parametrize("name", ["ppo", "a2c", "sac", "tqc", "crossq", "ppo_lstm"])
def test_state_dependent_exploration_is_drawn_anew_and_leaves_that_of_the_training(name):
    entry = algorithm(name)
    given = {"use_sde": True, "sde_sample_freq": 2}
    agent = make_agent(entry, find_environment("Pendulum-v1"), interpret(given, entry), seed=0)
    agent.policy.reset_noise(4)
    held = getattr(agent.policy, "actor", agent.policy).action_dist
    before = held.exploration_mat, held.exploration_matrices
    seen = np.ones((4, 3), np.float32)

    def actions(seed, *, deterministic=False):
        act = acting(agent, deterministic=deterministic, seed=seed)
        with own_randomness(seed):
            return np.stack([act(seen) for _ in range(3)])[..., 0]

    drawn = actions(1)
    assert len(np.unique(drawn[0])) == 4  # equal observations, a matrix for each copy
    if name != "ppo_lstm":  # the state of its memory differs from step to step
        np.testing.assert_array_equal(drawn[0], drawn[1])  # sde_sample_freq
    assert not np.isclose(drawn[1], drawn[2]).any()
    assert not np.isclose(drawn[0], actions(2)[0]).any()
    np.testing.assert_array_equal(drawn, actions(1))
    assert len(np.unique(actions(1, deterministic=True)[0])) == 1
    assert held.exploration_mat is before[0]
    assert held.exploration_matrices is before[1]


def test_only_a_task_without_any_limit_is_told_as_endless(caplog):
    for finite in ("GTN-CartPole-v0", "GTN-CartPoleBandit-v0", "CartPole-v1"):
        RealTask(finite, 2).close()
    assert caplog.text == ""
    gym.register("Endless-v0", lambda **_: Drifting())
    RealTask("Endless-v0", 2).close()
    gym.registry.pop("Endless-v0")
    assert "Endless-v0 has no time limit" in caplog.text


class Drifting(gym.Env):
    """Its first observation is an integer array, its later ones are fractional."""

    observation_space = gym.spaces.Box(-9, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.array([0]), {}

    def step(self, action):
        self.steps += 1
        return np.array([0.5]), float(action), self.steps == 3, False, {}


def test_integer_first_observation_does_not_truncate_later_ones(monkeypatch):
    monkeypatch.setattr(real_returns.gym, "make", lambda task, **given: Drifting())
    copies = real_returns._ListedCopies("Drifting-v0", 2)
    assert copies.reset(0).dtype == np.float32
    observations, _, _ = copies.step(np.ones(2, int), np.array([True, True]))
    assert observations.tolist() == [[0.5], [0.5]]
