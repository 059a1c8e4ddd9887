"""Agents of Stable-Baselines3 as inner agents: equal to those trained in the file, without side effects on the run."""

import math
import random
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from gtn_core.errors import UsageError
from gtn_envs import SyntheticEnv
from gtn_envs.weights_file import save_environment
from gtn_rl.agents import AGENTS
from gtn_rl.agents.sb3 import SB3Agent, SB3Family
from gtn_rl.environments import find_environment
from gtn_rl.sb3.algorithms import ALGORITHMS, algorithm
from gtn_rl.tasks import make_task
from gtn_rl.transfer.training import make_agent
from gtn_rl.transfer.zoo import interpret

FEW = {"learning_starts": 20, "learning_rate": 0.01}


def test_all_but_recurrent_algorithms_are_inner_agents():
    names = {name.removeprefix("sb3-") for name in AGENTS if name.startswith("sb3-")}
    assert names == set(ALGORITHMS) - {"ppo_lstm"}
    assert AGENTS["sb3-ppo"].usual(make_task("CartPole-v1").spec) == SB3Agent("ppo", 10_000)


@pytest.mark.parametrize(
    ("name", "given"), [("dqn", FEW), ("a2c", {"n_steps": 4}), ("td3", {"learning_starts": 20, "learning_rate": 3e-4})]
)
def test_inner_agent_matches_agent_trained_in_saved_file(name, given, tmp_path, make_teacher):
    """The reference is an agent of the transfer study with the same seed, trained in the environment's file."""
    task = make_task("Pendulum-v1" if name == "td3" else "CartPole-v1")
    teacher = make_teacher(task, "mdp")
    policies = SB3Agent(name, 60, given).train(teacher.model(), torch.Generator().manual_seed(0))
    path, spec = tmp_path / "e.safetensors", task.spec
    document = teacher.document(observation_space=spec.observation_space, action_space=spec.action_space)
    save_environment(path, {k: v.numpy() for k, v in teacher.tensors().items()}, document)
    seed = int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(0)))
    agent = make_agent(algorithm(name), find_environment(str(path)), interpret(given, algorithm(name)), seed)
    agent.learn(60)
    observations = np.stack([spec.observation_space.sample() for _ in range(30)]).clip(-3, 3)
    expected, _ = agent.predict(observations, deterministic=True)
    acted = policies.act(torch.from_numpy(observations)[None])[0].numpy()
    assert np.ptp(acted) > 0
    np.testing.assert_allclose(acted, expected, atol=1e-5)


def test_variant_env_is_flat_and_numbers_actions_from_zero(teacher):
    theta = teacher.theta()
    model = teacher.variants(torch.stack([theta, theta + 0.3]))
    env = model.env(1)
    assert env.observation_space.shape == (teacher.spec.observation_size,)
    observation, _ = env.reset(seed=0)
    action = 1 if teacher.spec.discrete else np.array([1.0], np.float32)
    x = (torch.from_numpy(observation) - model.mean) / model.std
    taken = torch.tensor([[1]] * 2) if teacher.spec.discrete else torch.full((2, 1, 1), 0.5)
    _, reward, *_ = env.step(action)
    assert reward == pytest.approx(float(model.rewards(x.expand(2, 1, -1), taken)[1]), abs=1e-5)


def test_training_leaves_global_random_states_unchanged(make_teacher):
    teacher = make_teacher(make_task("CartPole-v1"), "bandit")
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    SB3Agent("dqn", 30, FEW).train(teacher.model(), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


@pytest.mark.parametrize(("steps", "given", "taken"), [(50, {}, 50), (50, {"n_steps": 32}, 64)])
def test_rollout_is_capped_at_training_steps(steps, given, taken, monkeypatch, make_teacher):
    counted, step = [], SyntheticEnv.step
    monkeypatch.setattr(SyntheticEnv, "step", lambda env, action: counted.append(1) or step(env, action))
    model = make_teacher(make_task("CartPole-v1"), "bandit").model()
    SB3Agent("ppo", steps, given).train(model, torch.Generator())
    assert len(counted) == taken


@pytest.mark.parametrize(("name", "task"), [("a2c", "CartPole-v1"), ("dqn", "CartPole-v1"), ("td3", "Pendulum-v1")])
def test_outputs_of_a_diverged_agent_are_nan(name, task, make_teacher):
    variants = make_teacher(make_task(task), "mdp").model(2)
    given = {"learning_rate": math.inf} | ({} if name == "a2c" else {"learning_starts": 5})
    policies = SB3Agent(name, 20, given).train(variants, torch.Generator().manual_seed(0))
    outputs = policies.outputs(torch.zeros(2, 3, variants.spec.observation_size))
    assert outputs.shape == (2, 3, variants.spec.action_size)
    assert outputs.isnan().all()


def test_outputs_are_nan_where_torch_refuses_those_of_finite_networks(make_teacher, monkeypatch):
    variants = make_teacher(make_task("CartPole-v1"), "bandit").model(2)
    learn = PPO.learn

    def learn_too_much(agent, steps):
        learn(agent, steps)
        with torch.no_grad():
            agent.policy.action_net.weight.fill_(1e38)

    monkeypatch.setattr(PPO, "learn", learn_too_much)
    policies = SB3Agent("ppo", 8).train(variants, torch.Generator())
    assert policies.outputs(1e3 * torch.ones(2, 3, 4)).isnan().all()


def test_invalid_settings_and_unknown_algorithms_are_rejected(make_teacher):
    teacher = make_teacher(make_task("CartPole-v1"), "bandit")
    with pytest.raises(UsageError, match=r"dqn rejects its settings: .*no_such_setting"):
        SB3Agent("dqn", 10, {"no_such_setting": 1}).train(teacher.model(), torch.Generator())
    with pytest.raises(UsageError, match="did you mean 'qrdqn'"):
        SB3Family("qr-dqn").fits(teacher.spec)


def test_dqn_trains_on_matrix_observations_and_offset_actions(make_teacher):
    class Grid(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (2, 3), np.float64)
        action_space = gym.spaces.Discrete(3, start=5)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros((2, 3)), {}

        def step(self, action):
            return np.zeros((2, 3)), 1.0, False, False, {}

    gym.register("GTN-TestAgentsGrid-v0", Grid, max_episode_steps=5)
    try:
        task = make_task("GTN-TestAgentsGrid-v0", workers=0)
        policies = SB3Agent("dqn", 40, FEW).train(make_teacher(task, "mdp").model(), torch.Generator())
        acted = policies.act(torch.randn(1, 50, 6))
        task.close()
    finally:
        del gym.registry["GTN-TestAgentsGrid-v0"]
    assert acted.shape == (1, 50)
    assert 0 <= int(acted.min()) <= int(acted.max()) < 3


def test_importing_gtn_rl_training_does_not_import_sb3():
    program = "import sys, gtn_rl.training; sys.exit('SB3 was imported' if 'stable_baselines3' in sys.modules else 0)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
