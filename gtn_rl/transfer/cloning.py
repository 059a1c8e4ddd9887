"""The behaviour-cloning control: imitates the actions that the teacher's reward prefers; no reinforcement learning."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from gtn_core.errors import UsageError
from gtn_core.seeding import seeded
from gtn_envs import Weights, load_environment
from gtn_rl.environments import Environment
from gtn_rl.models.greedy_actions import as_actions, greedy_action, greedy_outputs, has_greedy_actions
from gtn_rl.transfer.real_returns import Act

WIDTH, BATCH, LEARNING_RATE = 64, 64, 1e-3
EXPLORING = 0.5
UPDATES = 2000  # enough for the loss to level off with any number of contexts in a study


@dataclass(frozen=True)
class Clone:
    """A policy that imitates a teacher.

    Attributes:
        act: The policy.
        updates: Number of gradient updates taken.
        cpu_seconds: Processor time taken, including for the contexts.
    """

    act: Act
    updates: int
    cpu_seconds: float


def can_be_cloned(env: Environment) -> bool:
    """Returns whether an environment is a teacher whose reward prefers an action in each of its own states."""
    return _teacher(env) is not None


def clone(env: Environment, samples: int, seed: int) -> Clone:
    """Trains an MLP with two hidden layers of 64 on the teacher's greedy actions, by cross-entropy or squared error.

    Args:
        env: The teacher.
        samples: Number of contexts: as many as an agent would meet in that many steps.
        seed: Seed of the contexts, the initial weights and the batches.

    Raises:
        UsageError: The environment has no greedy actions.
    """
    began, weights = time.process_time(), _teacher(env)
    if weights is None:
        raise UsageError(f"{env.name} has no greedy actions to clone")
    contexts = _contexts(env, weights, samples, seed)
    labels = greedy_outputs(weights, contexts)
    discrete = isinstance(env.action_space, gym.spaces.Discrete)
    with seeded(seed % 2**63):
        net = _fit(contexts, labels, discrete)
    return Clone(_act(net, env.action_space), UPDATES, time.process_time() - began)


def _teacher(env: Environment) -> Weights | None:
    """Returns a teacher whose reward prefers an action in each of its own states; ``None`` for anything else."""
    if env.file is None or env.document.get("form") not in ("mdp", "bandit"):
        return None
    weights = load_environment(env.file)
    return weights if has_greedy_actions(weights) else None


def _contexts(env: Environment, weights: Weights, samples: int, seed: int) -> np.ndarray:
    """Returns the states that an agent meets in ``samples`` steps, (samples, d), with half of its actions random.

    The other half are the teacher's greedy actions. In a bandit the states are its contexts; in an MDP, those along its
    episodes.
    """
    made = gym.make(env.id, disable_env_checker=True)
    made.action_space.seed(seed % 2**31)
    explores = np.random.default_rng(seed).random(samples) < EXPLORING
    observation, over = made.reset(seed=seed % 2**31)[0], False
    seen = []
    for explore in explores:
        if over:
            observation = made.reset()[0]
        seen.append(observation)
        action = made.action_space.sample() if explore else greedy_action(weights, observation)
        observation, _, terminated, truncated, _ = made.step(action)
        over = terminated or truncated
    made.close()
    return np.stack(seen).reshape(samples, -1).astype(np.float32)


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
    discrete = isinstance(space, gym.spaces.Discrete)

    @torch.no_grad()
    def act(observations: np.ndarray) -> np.ndarray:
        out = net(torch.as_tensor(observations, dtype=torch.float32).flatten(1))
        return as_actions(out.argmax(dim=1).numpy() if discrete else out.numpy(), space)

    return act
