"""Learned rewards on the real task, compared with gtn_envs' wrapper around Gymnasium and with the saved file."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import gtn_envs
from gtn_envs.weights_file import load_environment, save_environment
from gtn_rl.agents import AGENTS
from gtn_rl.agents.sb3 import SB3Agent
from gtn_rl.fitness import Greedy, real_returns
from gtn_rl.models.episodes import StartsAhead
from gtn_rl.models.reward import RewardTeacher
from gtn_rl.tasks import make_task
from gtn_rl.tasks.actions import denormalise

SHORT = {"GTN-TestShortCartPole-v0": "cartpole:CartPoleEnv", "GTN-TestShortPendulum-v0": "pendulum:PendulumEnv"}
LIMIT, P, E = 14, 3, 4
GAMMAS = [None, 0.9]


@pytest.fixture(scope="module", params=SHORT)
def short(request):
    """A task that steps Gymnasium's own environments, with a time limit so short that it is often reached."""
    name = request.param
    gym.register(name, f"gymnasium.envs.classic_control.{SHORT[name]}", max_episode_steps=LIMIT)
    task = make_task(name, workers=0)
    yield task
    task.close()
    del gym.registry[name]


def teacher_of(task, gamma=None, **more):
    d, generator = task.spec.observation_size, torch.Generator().manual_seed(1)
    states = 0.5 * torch.randn(30, d, generator=generator) + 1
    return RewardTeacher(
        task, torch.full((d,), 0.1), torch.full((d,), 0.7), states, seed=2, hidden=(8,), gamma=gamma, **more
    )


def several(teacher):
    theta = teacher.theta()
    return teacher.variants(theta + 0.3 * torch.randn(P, len(theta), generator=torch.Generator().manual_seed(3)))


def random_actions(spec, t):
    generator = torch.Generator().manual_seed(t)
    if spec.discrete:
        return torch.randint(spec.action_size, (P, E), generator=generator)
    return 2 * torch.rand(P, E, spec.action_size, generator=generator) - 1


@pytest.mark.parametrize("gamma", GAMMAS)
def test_copies_match_wrapped_gymnasium_environments(short, gamma):
    """Compares observations, rewards and ends of all copies; CartPole's episodes terminate or are truncated."""
    variants = several(teacher_of(short, gamma))
    copies = variants.copies(E, torch.Generator().manual_seed(7))
    starts = StartsAhead(E, short.starts, torch.Generator().manual_seed(7))
    episodes = torch.zeros(P, E, dtype=torch.long)
    envs = [[variants.env(p) for _ in range(E)] for p in range(P)]

    def reset(p, e):
        (seeds,) = starts.at(episodes[p, e].view(1), torch.tensor([e]))
        return envs[p][e].reset(seed=int(seeds[0]))[0]

    expected = [[reset(p, e) for e in range(E)] for p in range(P)]
    ends = []
    for t in range(3 * LIMIT):
        np.testing.assert_allclose(copies.observations(), expected, atol=1e-5)
        actions = random_actions(short.spec, t)
        taken = actions if short.spec.discrete else denormalise(short.spec, actions)
        transition = copies.step(actions)
        for p in range(P):
            for e in range(E):
                action = int(taken[p, e]) if short.spec.discrete else taken[p, e].numpy()
                seen, reward, terminated, truncated, _ = envs[p][e].step(action)
                np.testing.assert_allclose(transition.last[p, e], seen, atol=1e-5)
                assert float(transition.reward[p, e]) == pytest.approx(reward, abs=1e-4)
                assert bool(transition.terminated[p, e]) == terminated
                assert bool(transition.truncated[p, e]) == (truncated and not terminated)
                ends += [terminated] * (terminated or truncated)
                if terminated or truncated:
                    episodes[p, e] += 1
                    seen = reset(p, e)
                expected[p][e] = seen
    assert variants.real_steps == 2 * 3 * LIMIT * P * E  # of the copies and of the environments
    assert set(ends) == ({True, False} if short.spec.discrete else {False})


@pytest.mark.parametrize(("gamma", "regret"), [(None, False), (None, True), (0.9, False)])
def test_saved_file_computes_the_same_reward(task, gamma, regret, tmp_path):
    teacher, path = teacher_of(task, gamma, regret=regret, activation="relu"), tmp_path / "reward.safetensors"
    spec = task.spec
    document = teacher.document(observation_space=spec.observation_space, action_space=spec.action_space)
    save_environment(path, {name: tensor.numpy() for name, tensor in teacher.tensors().items()}, document)
    name = f"GTN-Same{spec.id.split('-')[0]}Reward{gamma is None:d}{regret:d}-v0"
    assert gtn_envs.register_from_file(path, id=name).max_episode_steps == spec.max_episode_steps
    env, variants = gym.make(name), teacher.model()
    assert load_environment(path).document["regret"] == (regret and spec.discrete)
    env.action_space.seed(0)
    s, _ = env.reset(seed=0)
    for _ in range(60):
        action = env.action_space.sample()
        after, reward, terminated, truncated, info = env.step(action)
        x, beyond = ((torch.from_numpy(o)[None, None] - variants.mean) / variants.std for o in (s, after))
        ours = torch.tensor([[int(action)]]) if spec.discrete else torch.from_numpy(action)[None, None] / 2
        real = torch.tensor([[info["real_reward"]]])
        expected = variants.judged(x, ours, real, beyond, torch.tensor([[terminated]]))
        assert reward == pytest.approx(float(expected), abs=1e-4)
        s = env.reset()[0] if terminated or truncated else after
    env.close()


def test_reward_size_is_normalised_on_its_states(task):
    by_action, potential = several(teacher_of(task)), several(teacher_of(task, 0.9, scale=5.0))
    x = teacher_of(task).states.expand(P, -1, -1)
    scale = potential.table(x).square().mean(dim=(1, 2)).sqrt()
    assert ((scale > 2) & (scale < 12)).all()  # 5 times exp of the noise on log_scale
    if task.spec.discrete:
        torch.testing.assert_close(by_action.table(x).mean(dim=2), torch.zeros(P, 30), atol=1e-5, rtol=0)
        assert (by_action.table(x).square().mean(dim=(1, 2)).sqrt() - 1).abs().max() < 0.9
    teacher = teacher_of(task, 0.9, scale=5.0)
    assert float(teacher.model().table(x[:1]).square().mean().sqrt()) == pytest.approx(5, rel=1e-4)
    teacher.set_centres(torch.zeros(30, task.spec.observation_size))
    assert float(teacher.model().table(x[:1]).square().mean().sqrt()) != pytest.approx(5, rel=0.05)


def test_reward_teacher_learns_reward_and_scale_only(task):
    teacher = teacher_of(task)
    teacher.learn_only(["reward", "scale", "initial"])
    assert len(teacher.trained()) == len(list(teacher.parameters()))
    teacher.learn_only(["initial"])
    assert teacher.trained() == []


def test_greedy_policy_follows_reward_without_real_steps(task):
    variants = several(teacher_of(task))
    policies = Greedy().train(variants, torch.Generator())
    seen = torch.randn(P, 20, task.spec.observation_size, generator=torch.Generator().manual_seed(0))
    x = (seen - variants.mean) / variants.std
    likes = variants.table(x) if task.spec.discrete else variants.targets(x)
    assert torch.equal(policies.outputs(seen), likes)
    assert variants.real_steps == 0


def test_sb3_agents_count_their_real_steps(short):
    name = "dqn" if short.spec.discrete else "td3"
    variants = teacher_of(short).model(2)
    policies = SB3Agent(name, 40, {"learning_starts": 30}).train(variants, torch.Generator().manual_seed(0))
    assert policies.act(torch.zeros(2, 5, short.spec.observation_size)).shape[:2] == (2, 5)
    assert variants.real_steps == 80


def test_env_and_copies_handle_matrix_states_and_offset_actions():
    class Grid(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (2, 3), np.float64)
        action_space = gym.spaces.Discrete(3, start=5)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros((2, 3)), {}

        def step(self, action):
            return np.full((2, 3), (action - 5) / 2), 1.0, False, action == 7, {}

    gym.register("GTN-TestRewardGrid-v0", Grid, max_episode_steps=5)
    try:
        task = make_task("GTN-TestRewardGrid-v0", workers=0)
        variants = teacher_of(task).model()
        env = variants.env(0)
        assert env.reset(seed=0)[0].shape == (6,)
        observation, reward, _, truncated, _ = env.step(2)
        copies = variants.copies(1, torch.Generator())
        transition = copies.step(torch.tensor([[2]]))
        task.close()
    finally:
        del gym.registry["GTN-TestRewardGrid-v0"]
    np.testing.assert_array_equal(observation, np.ones(6))
    torch.testing.assert_close(transition.last[0, 0], torch.ones(6))
    assert truncated
    assert transition.truncated.all()
    assert reward == pytest.approx(float(transition.reward), abs=1e-5)


@pytest.mark.slow
def test_ppo_learns_cartpole_under_zero_potential():
    """With Stable-Baselines3's defaults, PPO gets far in 10,000 real steps."""
    task = make_task("CartPole-v1")
    teacher = teacher_of(task, 0.99)
    with torch.no_grad():
        teacher.reward[-2].zero_()
        teacher.reward[-1].zero_()
    variants = teacher.model(2)
    policies = AGENTS["ppo"].usual(task.spec).train(variants, torch.Generator().manual_seed(0))
    assert variants.real_steps == 2 * 10240
    returns, _ = real_returns(task, policies, 2, 20, np.random.default_rng(0))
    assert float(returns.mean()) > 150
