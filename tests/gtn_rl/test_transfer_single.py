"""``train_agent``: one agent from Python, trained, tested and saved."""

import pickle
import random

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv
from stable_baselines3 import A2C
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn.utils import parameters_to_vector

import gtn_rl
from gtn_core.errors import DivergedError, UsageError
from gtn_rl.sb3.divergence import UnusableOutputsError, divergence_told
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.transfer.agents import TEACHER, AgentJob, run_job
from gtn_rl.transfer.training import AgentDivergedError

FLOATS = np.finfo(np.float32)


def test_agent_is_trained_tested_and_saved(tmp_path):
    taken = []
    trained = gtn_rl.train_agent(
        "GTN-CartPole-v0", "a2c", steps=100, episodes=2, save=str(tmp_path / "agent"), listener=taken.append
    )
    assert taken[-1] == trained.result["steps"] == trained.agent.num_timesteps == 100
    assert trained.result["real_task"] == "CartPole-v1"
    assert trained.result["deterministic"].keys() == {"mean", "std", "minimum", "maximum"}
    observations = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    saved, _ = A2C.load(tmp_path / "agent.zip").predict(observations, deterministic=True)
    np.testing.assert_array_equal(trained.agent.predict(observations, deterministic=True)[0], saved)


def test_settings_override_config_and_seed_decides_the_agent(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("a2c: {n_timesteps: 20, gamma: 0.5, learning_rate: 0.1}")
    told = {"play": False, "config": file, "settings": {"gamma": 0.9, "n_envs": 2}}
    trained = [gtn_rl.train_agent("CartPole-v1", "a2c", seed=seed, **told) for seed in (0, 0, 1)]
    agent, result = trained[0].agent, trained[0].result
    assert (agent.gamma, agent.learning_rate, agent.n_envs, result["steps"]) == (0.9, 0.1, 2, 20)
    assert "real_task" not in result
    first, same, other = (next(one.agent.policy.parameters()).detach().numpy() for one in trained)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_random_states_outside_neither_change_nor_matter():
    trained = []
    for seed in (1, 2):
        with own_randomness(seed):
            expected = drawn()
        with own_randomness(seed):
            trained.append(
                gtn_rl.train_agent("CartPole-v1", "dqn", steps=40, episodes=2, settings={"learning_starts": 5})
            )
            assert drawn() == expected
    first, second = (parameters_to_vector(one.agent.policy.parameters()) for one in trained)
    assert torch.equal(first, second)
    assert trained[0].result["stochastic"] == trained[1].result["stochastic"]


def drawn():
    """Returns a draw from each of the global random states."""
    return float(torch.rand(())), np.random.random(), random.random()


def test_tuned_config_is_the_shipped_one():
    trained = gtn_rl.train_agent("CartPole-v1", "dqn", steps=10, play=False, config="tuned")
    assert trained.result["settings"]["n_timesteps"] == 10
    assert len(trained.result["settings"]) > 3


def test_wrong_usage_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'dqn'"):
        gtn_rl.train_agent("CartPole-v1", "dqm")
    with pytest.raises(UsageError, match="cannot read the config"):
        gtn_rl.train_agent("CartPole-v1", config=tmp_path / "absent.yaml")


@pytest.mark.parametrize("key", ["steps", "episodes"])
@pytest.mark.parametrize("value", [0, -5, 2.5, True])
def test_numbers_that_are_not_positive_integers_are_rejected_before_training(key, value):
    with pytest.raises(UsageError, match=rf"^{key} must be a positive integer, got {value}$"):
        gtn_rl.train_agent("CartPole-v1", "a2c", **{"steps": 5, key: value}, listener=pytest.fail)


@pytest.mark.parametrize("algo", ["a2c", "dqn"])
def test_agent_that_diverges_is_told_as_such(algo, tmp_path):
    told = {"learning_rate": 1e30, **({"learning_starts": 20} if algo == "dqn" else {})}
    with pytest.raises(DivergedError, match=r"^after \d+ steps, the agent diverged: .*learning_rate"):
        gtn_rl.train_agent("CartPole-v1", algo, steps=60, settings=told, save=tmp_path / "agent")
    assert not list(tmp_path.iterdir())


def test_error_of_a_diverged_agent_survives_pickling():
    with pytest.raises(AgentDivergedError) as caught:
        gtn_rl.train_agent("CartPole-v1", "a2c", steps=20, play=False, settings={"learning_rate": 1e30})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.stop) == (str(caught.value), caught.value.stop)
    assert str(AgentDivergedError(str(copy))) == str(copy)  # as for the other processes of a study


def test_agent_whose_outputs_overflow_as_it_plays_is_told_as_diverged(monkeypatch):
    learn = A2C.learn

    def learn_too_much(agent, *told, **options):
        learn(agent, *told, **options)
        with torch.no_grad():
            agent.policy.mlp_extractor.policy_net[2].bias.fill_(10)  # of a tanh
            agent.policy.action_net.weight.fill_(1e38)

    monkeypatch.setattr(A2C, "learn", learn_too_much)
    with pytest.raises(DivergedError, match="the agent diverged"):
        gtn_rl.train_agent("CartPole-v1", "a2c", steps=5)


@pytest.fixture
def broken():
    """Registers a CartPole whose fifth observation is NaN, and yields its id."""

    class Broken(CartPoleEnv):
        def reset(self, **options):
            self.taken = 0
            return super().reset(**options)

        def step(self, action):
            observation, *others = super().step(action)
            self.taken += 1
            return observation * (np.nan if self.taken == 4 else 1), *others

    gym.register("GTN-TestBroken-v0", Broken, max_episode_steps=20)
    yield "GTN-TestBroken-v0"
    del gym.registry["GTN-TestBroken-v0"]


def test_observations_that_are_nan_are_not_told_as_divergence(broken):
    with pytest.raises(DivergedError, match=r"^after \d steps, the agent's outputs are .*do observations or rewards"):
        gtn_rl.train_agent(broken, "a2c", steps=40, play=False)
    with pytest.raises(DivergedError, match=r"^the agent's outputs are not finite, although its networks are"):
        gtn_rl.train_agent("CartPole-v1", "a2c", task=broken, steps=5)


@pytest.mark.parametrize(
    ("low", "high", "acts"), [(1000, 1001, False), (-np.inf, np.inf, True), (FLOATS.min, FLOATS.max, True)]
)
def test_agent_is_told_as_diverged_if_it_cannot_act_in_its_own_space(low, high, acts):
    seen, does = gym.spaces.Box(low, high, (2,)), gym.spaces.Discrete(2)
    policy = ActorCriticPolicy(seen, does, lambda done: 1e-3, activation_fn=torch.nn.ReLU)
    with torch.no_grad():
        policy.mlp_extractor.policy_net[0].weight.fill_(1e36)  # infinite for observations of hundreds
    with pytest.raises(DivergedError) as caught, divergence_told(policy):
        policy.predict(np.full((1, 2), np.nan, np.float32))
    assert isinstance(caught.value, UnusableOutputsError) == acts


def test_environment_whose_observations_are_nan_ends_a_study(broken):
    job = AgentJob(TEACHER, broken, None, broken, "a2c", "default", 0, 0, (40,), 2, None)
    with pytest.raises(UnusableOutputsError, match="do observations or rewards become NaN"):
        run_job(job)
