"""Batched re-implementations of classic control, compared with Gymnasium's own environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from gtn_rl.tasks import BATCHED, make_task, threshold_of
from gtn_rl.tasks.classic_control import ClassicControl

COPIES = 4


def driven(id: str, step: int, observation: np.ndarray, generator: np.random.Generator) -> Any:
    """Returns an action that tends to terminate the episode where that is easy, and that sometimes exceeds the bounds."""
    if id == "Pendulum-v1":
        return generator.uniform(-2.5, 2.5, size=1).astype(np.float32)
    if id == "MountainCarContinuous-v0":
        return np.array([np.sign(observation[1]) * generator.uniform(0.5, 1.2)], np.float32)
    if id == "Acrobot-v1":
        return int(observation[5] > 0) * 2 if generator.random() < 0.9 else 1
    if id == "MountainCar-v0":
        return int(np.sign(observation[1])) + 1
    return int(observation[2] + 0.3 * observation[3] > 0) if step < 60 else int(generator.integers(2))


def set_state(env: gym.Env, rows: tuple[np.ndarray, ...], i: int) -> None:
    kind = np.float32 if env.spec is not None and env.spec.id == "MountainCarContinuous-v0" else np.float64
    env.unwrapped.state = np.array([row[i] for row in rows], kind)  # type: ignore[attr-defined]


@pytest.mark.parametrize("id", BATCHED)
def test_every_step_matches_gymnasium(id: str) -> None:
    task, generator = make_task(id), np.random.default_rng(1)
    assert isinstance(task, ClassicControl)
    envs = [gym.make(id).unwrapped for _ in range(COPIES)]
    state = task.reset(COPIES, generator)
    for i, env in enumerate(envs):
        env.reset(seed=i)
    ends = 0
    limit = task.spec.max_episode_steps
    assert limit is not None
    live = np.ones(COPIES, bool)
    for t in range(limit):
        observations = task.observe(state).numpy()
        actions = [driven(id, t, observations[i], generator) for i in range(COPIES)]
        for i in live.nonzero()[0]:
            set_state(envs[i], state, i)
        state, reward, terminated, truncated = task.step(state, torch.as_tensor(np.array(actions)))
        after = task.observe(state)
        assert truncated is None
        assert (after.dtype, after.is_contiguous(), reward.dtype) == (torch.float32, True, torch.float64)
        for i in live.nonzero()[0]:
            theirs, their_reward, their_end, _, _ = envs[i].step(actions[i])
            np.testing.assert_allclose(after[i].numpy(), theirs, rtol=1e-6, atol=1e-6)
            assert reward[i].item() == pytest.approx(their_reward, abs=1e-6)
            assert bool(terminated[i]) == their_end
            ends += their_end
            live[i] = not their_end
    assert (ends == 0) == (id == "Pendulum-v1")


@pytest.mark.parametrize("id", sorted(set(BATCHED) - {"Acrobot-v1"}))
def test_whole_episodes_match_gymnasium_returns_and_lengths(id: str) -> None:
    """Without synchronising states after the start; Acrobot is chaotic, so only its single steps can be compared."""
    task = make_task(id)
    state = task.reset(COPIES, np.random.default_rng(2))
    starts, limit = state, task.spec.max_episode_steps
    assert limit is not None
    generator = np.random.default_rng(3)
    plan = [
        [driven(id, t, np.array([0, 1.0 if (t // 40) % 2 else -1.0, 0, 0]), generator) for _ in range(COPIES)]
        for t in range(limit)
    ]
    returns, lengths, live = np.zeros(COPIES), np.zeros(COPIES), np.ones(COPIES, bool)
    for t in range(limit):
        state, reward, terminated, _ = task.step(state, torch.as_tensor(np.array(plan[t])))
        returns += np.where(live, reward.numpy(), 0)
        lengths += live
        live &= ~terminated.numpy()
    for i in range(COPIES):
        env = gym.make(id)
        env.reset(seed=0)
        set_state(env, starts, i)
        total, length, over = 0.0, 0, False
        while not over:
            _, gained, end, cut, _ = env.step(plan[length][i])
            total, length, over = total + float(gained), length + 1, end or cut
        assert length == lengths[i]
        assert total == pytest.approx(returns[i], abs=1e-5)


BOUNDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "CartPole-v1": lambda o: abs(o) <= 0.05,
    "Acrobot-v1": lambda o: (abs(o[:, [1, 3, 4, 5]]) <= 0.1) & (o[:, [0, 2, 0, 2]] > 0.99),
    "MountainCar-v0": lambda o: (o >= [-0.6, 0]) & (o <= [-0.4, 0]),
    "MountainCarContinuous-v0": lambda o: (o >= [-0.6, 0]) & (o <= [-0.4, 0]),
    "Pendulum-v1": lambda o: abs(o) <= 1,
}


@pytest.mark.parametrize("id", BATCHED)
def test_initial_states_match_gymnasium_mean_and_range(id: str) -> None:
    ours = make_task(id)
    first = ours.observe(ours.reset(2000, np.random.default_rng(0))).numpy()
    env = gym.make(id)
    theirs = np.array([env.reset(seed=i)[0] for i in range(2000)])
    assert BOUNDS[id](first).all()
    assert BOUNDS[id](theirs).all()
    spread = np.ptp(theirs, axis=0)
    np.testing.assert_allclose(first.mean(0), theirs.mean(0), atol=0.06 * spread.max())
    np.testing.assert_allclose(np.ptp(first, axis=0), spread, rtol=0.03)


@pytest.mark.parametrize("id", BATCHED)
def test_initial_states_do_not_depend_on_number_of_copies(id: str) -> None:
    task = make_task(id)
    few, many = (task.observe(task.reset(n, np.random.default_rng(4))) for n in (3, 50))
    assert torch.equal(few, many[:3])


@pytest.mark.parametrize("id", BATCHED)
def test_numpy_matches_torch_and_step_leaves_its_input_state(id: str) -> None:
    ours = make_task(id)
    assert isinstance(ours, ClassicControl)
    theirs = ClassicControl(ours.spec, ours._physics, torch.device("cpu"))
    theirs._xp = torch
    generator = np.random.default_rng(5)
    a, b = ours.reset(40, np.random.default_rng(6)), theirs.reset(40, np.random.default_rng(6))
    for t in range(30):
        actions = torch.as_tensor(np.array([driven(id, t, np.zeros(6), generator) for _ in range(40)]))
        kept = [row.copy() for row in a]
        (after, *numpy_out, _), (b, *torch_out, _) = ours.step(a, actions), theirs.step(b, actions)
        assert all(np.array_equal(old, new) for old, new in zip(kept, a, strict=True))
        a = after
        torch.testing.assert_close(ours.observe(a), theirs.observe(b), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(numpy_out, torch_out)
    keep = torch.tensor([1, 30])
    assert torch.equal(ours.observe(ours.select(a, keep)), ours.observe(a)[keep])


@pytest.mark.parametrize("id", BATCHED)
def test_restart_resets_only_given_copies(id: str) -> None:
    task = make_task(id)
    starts = task.starts(6, np.random.default_rng(7))
    first = task.begin(starts)
    state, generator = first, np.random.default_rng(8)
    for t in range(4):
        actions = torch.as_tensor(np.array([driven(id, t, np.zeros(6), generator) for _ in range(6)]))
        state = task.step(state, actions).state
    before = task.observe(state)
    again = task.restart(state, np.array([4, 1]), tuple(row[[0, 1]] for row in starts))
    assert torch.equal(task.observe(state), before)
    assert torch.equal(task.observe(again)[[4, 1]], task.observe(first)[[0, 1]])
    assert torch.equal(task.observe(again)[[0, 2, 3, 5]], before[[0, 2, 3, 5]])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("id", BATCHED)
def test_gpu_steps_match_cpu(id: str) -> None:
    cpu, gpu = make_task(id), make_task(id, device="cuda")
    a, b = cpu.reset(40, np.random.default_rng(6)), gpu.reset(40, np.random.default_rng(6))
    generator = np.random.default_rng(5)
    for t in range(30):
        actions = torch.as_tensor(np.array([driven(id, t, np.zeros(6), generator) for _ in range(40)]))
        a, b = cpu.step(a, actions).state, gpu.step(b, actions.cuda()).state
        torch.testing.assert_close(cpu.observe(a), gpu.observe(b).cpu(), rtol=1e-5, atol=1e-5)


def test_specs_and_solve_thresholds_match_documented_values() -> None:
    specs = {id: make_task(id).spec for id in BATCHED}
    assert {id: threshold_of(id) for id in specs} == {
        "CartPole-v1": 475,
        "Acrobot-v1": -100,
        "MountainCar-v0": -110,
        "MountainCarContinuous-v0": 90,
        "Pendulum-v1": -200,
    }
    assert specs["Pendulum-v1"].action_high.tolist() == [2.0]
    assert (specs["Acrobot-v1"].discrete, specs["Acrobot-v1"].action_size) == (True, 3)
    assert specs["CartPole-v1"].max_episode_steps == 500
