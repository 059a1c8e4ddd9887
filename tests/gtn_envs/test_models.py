"""The numpy and torch models against the format's equations, written out here in float64 and without folding."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from random_environments import REWARDS, VARIANTS, environment

from gtn_envs import Weights, load_environment, numpy_batch, save_environment
from gtn_envs.folding import fold
from gtn_envs.initial_states import InitialStates
from gtn_envs.numpy_batch import PIECE, NumpyBatch
from gtn_envs.numpy_single import NumpySingle
from gtn_envs.torch_model import TorchModel


def mlp(weights: Weights, name: str, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    layers = weights.layers(name)
    for i, (weight, bias) in enumerate(layers):
        x = x @ weight.astype(np.float64) + bias
        if i < len(layers) - 1:
            x = np.tanh(x) if weights.activation == "tanh" else np.maximum(x, 0)
    return x


def reference(weights: Weights, states: npt.NDArray[Any], actions: npt.NDArray[Any]) -> tuple[Any, Any, Any]:
    """Returns next states, rewards and termination logits (positive: terminated), as in docs/environments.md."""
    mean, std = (weights.tensors[f"observation.{key}"].astype(np.float64) for key in ("mean", "std"))
    x = (states - mean) / std
    scale, space = float(weights.tensors["reward.scale"]), weights.action_space
    if isinstance(space, spaces.Discrete):
        features = np.eye(space.n)[actions]
    else:
        low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
        features = 2 * (actions - low) / (high - low) - 1
    if weights.reward_reads_action:
        rewards = scale * mlp(weights, "reward", np.concatenate([x, features], -1))[:, 0]
    elif isinstance(space, spaces.Discrete):
        out = mlp(weights, "reward", x)
        rewards = scale * ((out * features).sum(-1) - (out.max(-1) if weights.regret else 0))
    else:
        rewards = -scale * ((features - np.tanh(mlp(weights, "reward", x))) ** 2).sum(-1)
    if weights.form != "mdp":
        return states, rewards, np.ones(len(states))
    x = x + mlp(weights, "transition", np.concatenate([x, features], -1))
    space = weights.observation_space
    following = np.clip(mean + std * x, space.low.ravel(), space.high.ravel())
    if not weights.layers("termination"):
        return following, rewards, -np.ones(len(states))
    return following, rewards, mlp(weights, "termination", (following - mean) / std)[:, 0]


def actions_of(weights: Weights, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    space = weights.action_space
    if isinstance(space, spaces.Discrete):
        return rng.integers(space.n, size=shape)
    return rng.uniform(space.low.ravel(), space.high.ravel(), (*shape, weights.actions)).astype(np.float32)


# One piece; two full pieces; three pieces, the last of which is two copies short.
@pytest.mark.parametrize("n", [64, 2 * PIECE, 3 * PIECE - 2])
@pytest.mark.parametrize("id", VARIANTS)
def test_numpy_and_torch_trajectories_match_reference(id: str, n: int, files: dict[str, Any]) -> None:
    weights = load_environment(files[id])
    program = fold(weights)
    rng = np.random.default_rng(0)
    a = InitialStates(program).draw([np.random.default_rng(i) for i in range(n)])[:, 0]
    single, batch, torch_model = NumpySingle(program), NumpyBatch(program, n), TorchModel(program)
    b, exact, one = torch.tensor(a), a.astype(np.float64), a[0]
    ends = 0
    for _ in range(30):
        actions = actions_of(weights, rng, (n,))
        a, a_rewards, a_ends = batch.step(a, actions)
        b, b_rewards, b_ends = torch_model.step(b, torch.tensor(actions))
        exact, rewards, logits = reference(weights, exact, actions)
        clear, terminated = abs(logits) > 1e-4, logits > 0
        one, reward, end = single.step(one, actions[0])
        for state, found, over in ((a, a_rewards, a_ends), (b.numpy(), b_rewards.numpy(), b_ends.numpy())):
            assert state.dtype == found.dtype == np.float32
            np.testing.assert_allclose(state, exact, rtol=0, atol=1e-5)
            np.testing.assert_allclose(found, rewards, rtol=0, atol=1e-5)
            np.testing.assert_array_equal(over[clear], terminated[clear])
        np.testing.assert_allclose(one, exact[0], rtol=0, atol=1e-5)
        assert reward == pytest.approx(rewards[0], abs=1e-5)
        assert end is bool(terminated[0]) or not clear[0]
        ends += int(terminated.sum())
    assert (ends > 0) is (weights.form == "bandit" or bool(weights.layers("termination")))


def test_initial_states_match_means_and_std_of_file(files: dict[str, Any]) -> None:
    weights = load_environment(files["GTN-TestEndless-v0"])
    initial = InitialStates(fold(weights))
    numbers = np.random.default_rng(1).random((200, initial.block * 5), np.float32)
    numbers[:, : initial.block] = 0.7  # chooses component 3 of 5
    states = initial.states(numbers).reshape(-1, 4)
    mean, std = weights.tensors["observation.mean"], weights.tensors["observation.std"]
    np.testing.assert_allclose(states.mean(0), mean + std * weights.tensors["initial.means"][3], atol=5e-3)
    np.testing.assert_allclose(states.std(0), std * np.exp(weights.tensors["initial.log_std"]), rtol=0.03)


def test_clipped_states_stay_within_float64_bounds(files: dict[str, Any]) -> None:
    weights = load_environment(files["GTN-TestGrid-v0"])
    model = NumpyBatch(fold(weights), 1)
    clipped, _, _ = model.step(np.full((1, 6), 100, np.float32), np.array([0]))
    assert weights.observation_space.contains(clipped.astype(np.float64).reshape(2, 3))
    assert clipped.max() > 3.1415


def test_large_preactivations_saturate_tanh(tmp_path: Any) -> None:
    tensors, document = environment()
    tensors["reward.0.bias"] = np.full(16, 500, np.float32)
    save_environment(tmp_path / "one.safetensors", tensors, document)
    model = NumpyBatch(fold(load_environment(tmp_path / "one.safetensors")), 1)
    _, rewards, _ = model.step(np.zeros((1, 4), np.float32), np.array([0]))
    expected = 1.7 * (tensors["reward.1.weight"][:, 0].sum() + tensors["reward.1.bias"][0])
    assert rewards[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("fast", [True, False])
def test_both_tanh_implementations_are_accurate(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_batch, "_own_tanh_is_fast", lambda: fast)
    x = np.concatenate([np.linspace(-12, 12, 10001), [-200, 200, -np.inf, np.inf, 0]]).astype(np.float32)
    expected = np.tanh(x.astype(np.float64))
    numpy_batch._tanh(x)
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-7)


def test_torch_step_is_differentiable(files: dict[str, Any]) -> None:
    model = TorchModel(fold(load_environment(files["GTN-TestBox-v0"])))
    states = torch.zeros(2, 3, requires_grad=True)
    following, rewards, _ = model.step(states, torch.zeros(2, 1))
    (following.sum() + rewards.sum()).backward()
    assert states.grad is not None
    assert (states.grad != 0).any()


@pytest.mark.parametrize("id", REWARDS)
def test_reward_form_has_no_transition_or_termination(id: str, files: dict[str, Any]) -> None:
    program = fold(load_environment(files[id]))
    assert not program.transition
    assert program.termination is None
