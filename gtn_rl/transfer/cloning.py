"""The behaviour-cloning control: imitate what the teacher's reward prefers, without any reinforcement learning."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from gtn_core.errors import UsageError
from gtn_rl.transfer.environments import Environment
from gtn_rl.transfer.real_returns import Act

WIDTH, BATCH, LEARNING_RATE = 64, 64, 1e-3
UPDATES = 2000  # enough for the loss to level off at every number of contexts that a study takes


@dataclass(frozen=True)
class Clone:
    """A policy that imitates a teacher.

    Attributes:
        act: How it acts.
        updates: Gradient updates that made it.
        cpu_seconds: Processor time that they took, the contexts included.
    """

    act: Act
    updates: int
    cpu_seconds: float


def can_be_cloned(env: Environment) -> bool:
    """Says whether an environment is a teacher whose reward prefers an action in each of its own initial states."""
    return env.document.get("form") in ("mdp", "bandit")


def clone(env: Environment, samples: int, seed: int) -> Clone:
    """Trains an MLP of two layers of 64 on the teacher's greedy actions, by cross-entropy or squared error.

    Args:
        env: The teacher.
        samples: Contexts, each an initial state of the teacher's.
        seed: Of the contexts, the initial weights and the batches.

    Raises:
        UsageError: The environment exposes no greedy actions.
    """
    if not can_be_cloned(env):
        raise UsageError(f"{env.name} has no greedy actions to clone")
    began = time.process_time()
    contexts = _contexts(env, samples, seed)
    labels = greedy_outputs(env, contexts)
    discrete = isinstance(env.action_space, gym.spaces.Discrete)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        net = _fit(contexts, labels, discrete)
    return Clone(_act(net, env.action_space), UPDATES, time.process_time() - began)


def greedy_outputs(env: Environment, states: np.ndarray) -> np.ndarray:
    """Returns the action that the teacher's reward prefers in each state.

    Args:
        env: The teacher.
        states: (n, d), raw.

    Returns:
        Numbers of discrete actions from 0, (n,) int64; or Box actions scaled to [-1, 1], (n, m) float32.
    """
    from gtn_envs import load_environment

    assert env.file is not None
    weights = load_environment(env.file)
    hidden = (states - weights.tensors["observation.mean"]) / weights.tensors["observation.std"]
    layers = weights.layers("reward")
    for i, (weight, bias) in enumerate(layers):
        hidden = hidden @ weight + bias
        if i < len(layers) - 1:
            hidden = np.tanh(hidden) if weights.activation == "tanh" else np.maximum(hidden, 0)
    if isinstance(weights.action_space, gym.spaces.Discrete):
        return np.argmax(hidden, axis=1)
    return np.tanh(hidden)


def _contexts(env: Environment, samples: int, seed: int) -> np.ndarray:
    made = gym.make(env.id, disable_env_checker=True)
    first = made.reset(seed=seed % 2**31)[0]
    rest = [made.reset()[0] for _ in range(samples - 1)]
    made.close()
    return np.stack([first, *rest]).reshape(samples, -1).astype(np.float32)


def _fit(contexts: np.ndarray, labels: np.ndarray, discrete: bool) -> nn.Module:
    inputs, targets = torch.as_tensor(contexts), torch.as_tensor(labels)
    outputs = int(targets.max()) + 1 if discrete else targets.shape[1]
    body = nn.Sequential(nn.Linear(inputs.shape[1], WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh())
    net = nn.Sequential(_Standardised(inputs), *body, nn.Linear(WIDTH, outputs))
    loss: nn.Module = nn.CrossEntropyLoss() if discrete else nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    for _ in range(UPDATES):
        rows = torch.randint(len(inputs), (BATCH,))
        optimizer.zero_grad()
        loss(net(inputs[rows]), targets[rows]).backward()
        optimizer.step()
    return net


class _Standardised(nn.Module):
    """Subtracts the mean of the contexts and divides by their standard deviation."""

    def __init__(self, contexts: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.std = contexts.mean(dim=0), contexts.std(dim=0, correction=0) + 1e-6

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return (states - self.mean) / self.std


def _act(net: nn.Module, space: gym.Space) -> Act:
    @torch.no_grad()
    def act(observations: np.ndarray) -> np.ndarray:
        out = net(torch.as_tensor(observations, dtype=torch.float32).flatten(1))
        if isinstance(space, gym.spaces.Discrete):
            return (out.argmax(dim=1).numpy() + space.start).astype(np.int64)
        assert isinstance(space, gym.spaces.Box)
        share = (out.clamp(-1, 1).numpy().reshape(-1, *space.shape) + 1) / 2
        actions: np.ndarray = np.clip(space.low + share * (space.high - space.low), space.low, space.high)
        return actions.astype(space.dtype)

    return act
