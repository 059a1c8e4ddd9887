"""The greedy action of a learned environment's own reward, computed from its file in numpy."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from gtn_envs import Weights


def has_greedy_actions(weights: Weights) -> bool:
    """Returns whether the reward itself says which action it rates highest in a state."""
    return not (weights.potential or weights.reward_reads_action)


def greedy_outputs(weights: Weights, states: np.ndarray) -> np.ndarray:
    """Returns the action that the reward rates highest in each state.

    Args:
        weights: An environment or a reward that ``has_greedy_actions``.
        states: (n, d), in the task's units.

    Returns:
        Indices of discrete actions, from 0, (n,) int64; or Box actions scaled to [-1, 1], (n, m) float32.
    """
    hidden = (states - weights.tensors["observation.mean"]) / weights.tensors["observation.std"]
    layers = weights.layers("reward")
    for i, (weight, bias) in enumerate(layers):
        hidden = hidden @ weight + bias
        if i < len(layers) - 1:
            hidden = np.tanh(hidden) if weights.activation == "tanh" else np.maximum(hidden, 0)
    if isinstance(weights.action_space, gym.spaces.Discrete):
        return np.argmax(hidden, axis=1)
    return np.tanh(hidden)


def as_actions(outputs: np.ndarray, space: gym.Space) -> np.ndarray:
    """Converts results of ``greedy_outputs`` to elements of the action space, (n, ...)."""
    if isinstance(space, gym.spaces.Discrete):
        return (outputs + space.start).astype(np.int64)
    assert isinstance(space, gym.spaces.Box)
    share = (outputs.reshape(-1, *space.shape).clip(-1, 1) + 1) / 2
    actions: np.ndarray = np.clip(space.low + share * (space.high - space.low), space.low, space.high)
    return actions.astype(space.dtype)


def greedy_action(weights: Weights, observation: Any) -> Any:
    """Returns the greedy action for one observation."""
    state = np.asarray(observation, np.float32).reshape(1, -1)
    return as_actions(greedy_outputs(weights, state), weights.action_space)[0]
