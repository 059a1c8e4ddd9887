"""Training of Stable-Baselines3 agents with stops: steps, updates, evaluation at stops, and saved agents."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch.nn.utils import parameters_to_vector

from gtn_core.errors import UsageError
from gtn_rl.environments import find_environment
from gtn_rl.sb3.algorithms import algorithm
from gtn_rl.transfer.agent_file import save_agent
from gtn_rl.transfer.real_returns import RealTask, acting
from gtn_rl.transfer.training import make_agent, train
from gtn_rl.transfer.zoo import interpret


def made(name, env="CartPole-v1", **given):
    entry = algorithm(name)
    return make_agent(entry, find_environment(env), interpret(given, entry), seed=0)


def trained(agent, stops, visit=lambda stop: True, **options):
    seen = []

    def note(stop):
        seen.append(stop)
        return visit(stop)

    train(agent, stops, note, **options)
    return seen


def test_training_stops_at_exact_steps_and_counts_updates():
    stops = trained(made("ppo", n_steps=64, batch_size=32, n_epochs=3), [63, 100, 200])
    assert [(stop.taken, stop.updates) for stop in stops] == [(63, 0), (100, 6), (200, 18)]
    assert 0 < stops[0].cpu_seconds < stops[-1].cpu_seconds
    assert [stop.updates for stop in trained(made("a2c"), [26])] == [5]
    joint = trained(made("sac", "Pendulum-v1", buffer_size=500, learning_starts=50, batch_size=8), [80])
    assert joint[0].updates == 29  # a joint step of actor, critic and temperature counts once


def test_whole_rollouts_completes_and_learns_from_last_rollout():
    stops = trained(made("ppo", n_steps=64, batch_size=32, n_epochs=3), [100], whole_rollouts=True)
    assert [(stop.taken, stop.updates) for stop in stops] == [(128, 12)]


def test_training_ends_when_visit_returns_false():
    assert [stop.steps for stop in trained(made("a2c"), [10, 20, 30], lambda stop: stop.steps < 20)] == [10, 20]


def test_exploration_does_not_begin_anew_beyond_the_steps_it_is_laid_out_for():
    agent, rates, stops = made("dqn", learning_starts=10_000), [], range(20, 2001, 20)
    trained(agent, stops, lambda stop: rates.append(agent.exploration_rate) or True, laid_out_for=60)
    assert rates[0] == agent.exploration_final_eps  # after a tenth of the 60 steps
    assert rates == sorted(rates, reverse=True)


def test_evaluation_at_stops_does_not_change_training():
    task = RealTask("CartPole-v1", 3)
    judged = made("a2c")
    trained(judged, [40, 100], lambda stop: bool(task.returns(acting(judged, deterministic=False, seed=1), 1).size))
    left = made("a2c")  # reseeds torch
    trained(left, [100])
    for a, b in zip(judged.policy.parameters(), left.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_ars_visits_every_stop_without_gradient_updates():
    agent = made("ars", n_delta=1, n_top=1)
    weights = []

    def visit(stop):
        weights.append(agent.weights.clone())
        return torch.equal(parameters_to_vector(agent.policy.parameters()), weights[-1])  # and not a candidate's

    stops = trained(agent, [5, 60], visit)
    assert stops[0].taken >= 5
    assert stops[-1].updates == 0
    first, last = weights
    assert not torch.equal(first, last)


def test_invalid_settings_raise_usage_error():
    with pytest.raises(UsageError, match="ppo rejects its settings: `n_steps \\* n_envs` must be greater than 1"):
        made("ppo", n_steps=1)


def test_saved_agent_predicts_alike_after_loading(tmp_path):
    agent = made("ppo", normalize=True, n_steps=16, batch_size=16, learning_rate="lin_1e-3")
    trained(agent, [40])
    zipped, statistics = save_agent(agent, tmp_path / "a.zip")
    env = VecNormalize.load(statistics, DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    again = type(agent).load(zipped, env=env)
    seen = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    normalised, loaded = (one.get_vec_normalize_env().normalize_obs(seen) for one in (agent, again))
    np.testing.assert_array_equal(loaded, normalised)
    assert not np.allclose(normalised, seen)
    for one in (seen, normalised):
        assert torch.equal(*(a.policy.predict_values(torch.from_numpy(one)) for a in (agent, again)))
    actions = (acting(a, deterministic=True, seed=0)(seen) for a in (agent, again))
    np.testing.assert_array_equal(*actions)
    assert statistics.name == "a.vecnormalize.pkl"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.vecnormalize.pkl", "a.zip"]
