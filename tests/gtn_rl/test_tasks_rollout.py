"""Rollouts of batched tasks: returns, lengths and transitions, compared with a plain Gymnasium loop."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch

from gtn_rl.tasks import Rollout, make_task, rollout
from gtn_rl.tasks.rollout import CHECK_EVERY, Tally

SEED = 7


def lean(observations: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
    """Balances the pole, less well for copies with a higher index."""
    return (observations[:, 2] + (0.5 - 0.04 * alive) * observations[:, 3] > 0.02 * (alive % 3)).long()


def plain(n: int, max_steps: int) -> tuple[list[float], list[int], list[bool]]:
    """Returns the same episodes' returns, lengths and terminations, from Gymnasium, one episode at a time."""
    task = make_task("CartPole-v1")
    starts = np.array(task.reset(n, np.random.default_rng(SEED)))
    returns, lengths, ends = [], [], []
    env = gym.make("CartPole-v1", max_episode_steps=max_steps)
    for i in range(n):
        observation, _ = env.reset(seed=0)
        env.unwrapped.state = starts[:, i]  # type: ignore[attr-defined]
        observation, total, length, end, cut = starts[:, i].astype(np.float32), 0.0, 0, False, False
        while not (end or cut):
            action = lean(torch.as_tensor(observation)[None], torch.tensor([i]))
            observation, reward, end, cut, _ = env.step(int(action))
            total, length = total + float(reward), length + 1
        returns.append(total)
        lengths.append(length)
        ends.append(end)
    return returns, lengths, ends


@pytest.mark.parametrize(("group", "max_steps"), [(1, 500), (1, 210), (4, 500), (12, 500)])
def test_returns_lengths_and_terminations_match_a_plain_loop(group: int, max_steps: int) -> None:
    task = make_task("CartPole-v1")
    result = rollout(task, lean, 12, np.random.default_rng(SEED), max_steps=max_steps, group=group)
    returns, lengths, ends = plain(12, max_steps)
    assert len(set(lengths)) > 2
    assert result.returns.tolist() == pytest.approx(returns, abs=1e-5)
    assert result.lengths.tolist() == lengths
    assert result.terminated.tolist() == ends
    assert result.transitions is None


def test_transitions_record_exactly_the_steps_of_each_episode() -> None:
    task = make_task("CartPole-v1")
    result = rollout(task, lean, 12, np.random.default_rng(SEED), record=True)
    steps = result.transitions
    assert steps is not None
    assert len(steps.rewards) == result.lengths.sum()
    assert torch.bincount(steps.copies).tolist() == result.lengths.tolist()
    for i in range(12):
        mine = steps.copies == i
        assert steps.steps[mine].tolist() == list(range(int(result.lengths[i])))
        assert torch.equal(steps.observations[mine][1:], steps.next_observations[mine][:-1])
        assert steps.terminated[mine].sum() == result.terminated[i]
        assert steps.rewards[mine].sum() == result.returns[i]
    assert torch.equal(steps.actions, lean(steps.observations, steps.copies))


def test_copies_are_dropped_in_whole_blocks_with_a_new_tensor() -> None:
    seen: list[torch.Tensor] = []

    def policy(observations: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
        if not seen or seen[-1] is not alive:
            seen.append(alive)
        assert len(observations) == len(alive)
        return lean(observations, alive)

    task = make_task("CartPole-v1")
    rollout(task, policy, 32, np.random.default_rng(SEED), group=4)
    assert len(seen) > 1
    for alive in seen:
        assert torch.equal(alive.view(-1, 4) % 4, torch.arange(4).expand(len(alive) // 4, 4))
    assert all(len(after) * 2 <= len(before) for before, after in itertools.pairwise(seen))


def test_sparse_checks_for_ended_copies_do_not_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, whether all copies have ended is checked only every 16 steps; here, the CPU does likewise."""
    task = make_task("CartPole-v1")

    def run() -> Rollout:
        return rollout(task, lean, 12, np.random.default_rng(SEED), record=True)

    once = run()
    monkeypatch.setitem(CHECK_EVERY, "cpu", 16)
    again = run()
    assert torch.equal(once.returns, again.returns)
    assert torch.equal(once.lengths, again.lengths)
    assert once.transitions is not None
    assert again.transitions is not None
    assert torch.equal(once.transitions.observations, again.transitions.observations)


def test_tally_ignores_rewards_after_the_end_of_an_episode() -> None:
    tally = Tally.of(2, torch.device("cpu"))
    tally.add(torch.tensor([1.0, 2.0]))
    tally.end(torch.tensor([True, False]), torch.tensor([True, False]))
    tally.add(torch.tensor([torch.nan, 3.0]))
    assert tally.returns.tolist() == [1.0, 5.0]
    assert tally.lengths.tolist() == [1.0, 2.0]


def test_episodes_must_be_a_multiple_of_the_group_size() -> None:
    task = make_task("CartPole-v1")
    with pytest.raises(ValueError, match="episodes must be a positive multiple of the group size 4, got 10"):
        rollout(task, lean, 10, np.random.default_rng(0), group=4)


@pytest.mark.parametrize("id", ["CartPole-v1", "LunarLander-v3"])
def test_repeat_gives_each_block_one_initial_state(id):
    task = make_task(id, workers=0)
    try:
        first = task.observe(task.reset(6, np.random.default_rng(1), repeat=3))
    finally:
        task.close()
    assert torch.equal(first[:3], first[:1].expand(3, -1))
    assert torch.equal(first[3:], first[3:4].expand(3, -1))
    assert not torch.equal(first[0], first[3])
