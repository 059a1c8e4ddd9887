"""Synthetic environments as teachers: variants, theta, normalisation, initial states, and the saved file."""

import numpy as np
import pytest
import torch

from gtn_core.errors import UsageError
from gtn_envs.weights_file import load_environment, save_environment
from gtn_rl.config import EnvironmentConfig
from gtn_rl.harvest import harvest
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.fresh_teacher import fresh_teacher


def test_variants_match_teachers_with_their_theta(teacher):
    theta = teacher.theta()
    other = theta + 0.3 * torch.randn(len(theta), generator=torch.Generator().manual_seed(1))
    both = teacher.variants(torch.stack([theta, other]))
    teacher.set_theta(other)
    alone = teacher.model()
    x = both.initial(5, torch.Generator().manual_seed(2))
    assert not torch.equal(x[0], x[1])
    torch.testing.assert_close(alone.initial(5, torch.Generator().manual_seed(2))[0], x[1])
    shape = (2, 5) if teacher.spec.discrete else (2, 5, teacher.spec.action_size)
    actions = torch.ones(shape, dtype=torch.long) if teacher.spec.discrete else torch.full(shape, 0.5)
    torch.testing.assert_close(alone.rewards(x[1:], actions[1:])[0], both.rewards(x, actions)[1])
    if teacher.transition is not None:
        torch.testing.assert_close(alone.step(x[1:], actions[1:])[0], both.step(x, actions)[1])
    if teacher.termination is not None:
        x = 3 * torch.randn(2, 50, teacher.spec.observation_size, generator=torch.Generator().manual_seed(3))
        assert torch.equal(alone.terminated(x[1:])[0], both.terminated(x)[1])
        assert not torch.equal(both.terminated(x[:1].expand(2, -1, -1))[0], both.terminated(x)[1])


def test_theta_contains_only_meta_learned_parts(teacher):
    everything = len(teacher.theta())
    teacher.learn_only(["reward"])
    reward = len(teacher.theta())
    before = teacher.model().means
    teacher.set_theta(torch.zeros(reward))
    assert reward < everything
    assert torch.equal(teacher.model().means, before)


def test_discrete_reward_is_normalised_for_any_weights(teacher):
    if not teacher.spec.discrete:
        pytest.skip("a continuous reward is a distance")
    with torch.no_grad():
        for parameter in teacher.reward:
            parameter.mul_(7).add_(0.3)
    model = teacher.model()
    table = model.table(model.initial(4000, torch.Generator().manual_seed(5)))
    torch.testing.assert_close(table.mean(dim=2), torch.zeros(1, 4000), atol=1e-4, rtol=0)
    assert float(table.square().mean().sqrt()) == pytest.approx(1, abs=0.1)


def test_saved_file_computes_the_same_environment(teacher, tmp_path):
    """gtn_envs, an independent implementation, gives the same states, rewards and terminations."""
    import gymnasium as gym

    import gtn_envs

    path, spec = tmp_path / "e.safetensors", teacher.spec
    document = teacher.document(observation_space=spec.observation_space, action_space=spec.action_space)
    save_environment(path, {k: v.numpy() for k, v in teacher.tensors().items()}, document)
    assert load_environment(path).task == spec.id
    ending = teacher.termination is not None
    name = f"GTN-Same{spec.id.split('-')[0]}{document['form'].title()}{'Ending' * ending}-v0"
    gtn_envs.register_from_file(path, id=name)
    env, model = gym.make(name), teacher.model()
    rng = np.random.default_rng(0)
    ends = []
    try:
        env.action_space.seed(0)
        for episode in range(30):
            s, _ = env.reset(seed=episode)
            done = False
            while not done:
                x = (torch.from_numpy(s)[None, None] - model.mean) / model.std
                action = env.action_space.sample() if spec.discrete else rng.uniform(-2, 2, 1).astype(np.float32)
                ours = torch.tensor([[int(action)]]) if spec.discrete else torch.from_numpy(action)[None, None] / 2
                after, reward, terminated, truncated, _ = env.step(action)
                assert reward == pytest.approx(float(model.rewards(x, ours)), abs=1e-5)
                if document["form"] == "mdp":
                    expected = model.step(x, ours)
                    torch.testing.assert_close(
                        torch.from_numpy(after), model.observe(expected)[0, 0], atol=1e-5, rtol=1e-5
                    )
                    assert terminated == (ending and bool(model.terminated(expected)))
                s, done = after, terminated or truncated
                ends.append(terminated)
    finally:
        env.close()
    assert set(ends) == ({True, False} if ending else {document["form"] == "bandit"})


def test_bandit_rejects_time_limit_and_termination_network(task):
    d = task.spec.observation_size
    centres = torch.zeros(d), torch.ones(d), torch.zeros(2, d)
    with pytest.raises(UsageError, match="1 step"):
        EnvironmentTeacher(task.spec, *centres, seed=0, max_episode_steps=5)
    with pytest.raises(UsageError, match="every step of a bandit"):
        EnvironmentTeacher(task.spec, *centres, seed=0, termination_hidden=(8,))


@pytest.mark.parametrize("spread", ["task", "even"])
def test_spread_setting_scales_fresh_initial_states(task, spread):
    random, settings = np.random.default_rng(0), EnvironmentConfig(kind="bandit", spread=spread, jitter=0.5)
    gathered = harvest(task, 16, random)
    mean, std = gathered.normalisation()
    teacher = fresh_teacher(settings, task, gathered, (mean, std), random, seed=0)
    means, log_std = (parameter.detach() for parameter in teacher.initial)
    assert std.max() > 2 * std.min()  # otherwise both settings would give the same
    wanted = std if spread == "task" else std.log().mean().exp().expand_as(std)
    torch.testing.assert_close(log_std.exp() * std, 0.5 * wanted)
    torch.testing.assert_close((means * std).std(dim=0), wanted, rtol=0.4, atol=0)  # a sample of 64 states
