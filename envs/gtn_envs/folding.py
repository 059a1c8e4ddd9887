"""Turns a file's tensors into the few matrices that a step needs: raw states and actions in, raw changes and rewards out.

Three things are folded into weights once, in float64: the normalisation of states and actions into the first layer, the
standard deviation of the states and the scale of the reward into the last one, and, where both have the same depth, the
transition and the reward network into one block network. numpy and torch run the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gtn_envs.valid_weights import Array, Layers, Weights

Array64: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """An MLP on raw states (d,) and, if ``by_action`` is set, actions.

    Attributes:
        state: First layer's weight of the state, (d, hidden).
        bias: First layer's bias, (hidden,); (m, hidden), one row for each discrete action, if ``by_action`` is ``"row"``.
        action: First layer's weight of a Box action, (m, hidden); None unless ``by_action`` is ``"weight"``.
        later: Weight and bias of each further layer.
        by_action: How the action enters: ``"row"``, ``"weight"`` or not at all.
    """

    state: Array
    bias: Array
    action: Array | None
    later: Layers
    by_action: str | None


@dataclass(frozen=True)
class Program:
    """What one step computes.

    Attributes:
        networks: Their outputs side by side are the change of the state (d,), if there is a transition, then the reward's
            outputs: a reward for each discrete action, or the targets of a Box action before their tanh, or a potential.
        termination: Logit of the next state; None if nothing terminates.
        activation: ``"tanh"`` or ``"relu"``.
        size: d, the flat size of an observation.
        transition: Whether the state changes; a bandit's does not.
        discrete: Whether actions are discrete, numbered from 0 here.
        action_gain: With ``action_offset``, the normalisation of a Box action: a * gain + offset is in [-1, 1]; (m,).
        action_offset: See ``action_gain``; (m,).
        scale: Of a Box action's reward; a discrete action's is folded in.
        low: Least values of a state, (d,); None if there are none.
        high: Greatest values of a state, (d,); None if there are none.
        initial_means: Raw initial states without noise, (K, d).
        initial_std: Standard deviation of the initial states' noise, raw, (d,).
    """

    networks: tuple[Network, ...]
    termination: Network | None
    activation: str
    size: int
    transition: bool
    discrete: bool
    action_gain: Array
    action_offset: Array
    scale: float
    low: Array | None
    high: Array | None
    initial_means: Array
    initial_std: Array


def fold(weights: Weights) -> Program:
    """Returns the program of an environment."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in weights.tensors.items()}
    mean, std = tensors["observation.mean"], tensors["observation.std"]
    discrete = isinstance(weights.action_space, spaces.Discrete)
    gain, offset = _action_normalisation(weights)
    scale = float(tensors.get("reward.scale", np.ones(())))
    folded = scale if discrete or weights.potential else 1.0
    reward = _scaled_last(_float64(weights.layers("reward")), np.float64(folded))
    transition = _scaled_last(_float64(weights.layers("transition")), std)
    networks = [net for net in (transition, reward) if net]
    if len(networks) == 2 and len(transition) == len(reward):
        networks = [_block(transition, reward, inputs=len(mean))]
    termination = _float64(weights.layers("termination"))
    means = tensors.get("initial.means", np.zeros((1, mean.size)))
    log_std = tensors.get("initial.log_std", np.zeros(mean.size))
    low, high = _bounds(weights.observation_space)
    return Program(
        networks=tuple(_first_folded(net, mean, std, gain, offset, discrete) for net in networks),
        termination=_first_folded(termination, mean, std, gain, offset, discrete) if termination else None,
        activation=weights.activation,
        size=mean.size,
        transition=bool(transition),
        discrete=discrete,
        action_gain=gain.astype(np.float32),
        action_offset=offset.astype(np.float32),
        scale=scale,
        low=low,
        high=high,
        initial_means=(mean + std * means).astype(np.float32),
        initial_std=(std * np.exp(log_std)).astype(np.float32),
    )


def _action_normalisation(weights: Weights) -> tuple[Array64, Array64]:
    """Returns gain and offset that take a Box action to [-1, 1]; ones and zeros for discrete ones."""
    space = weights.action_space
    if isinstance(space, spaces.Discrete):
        return np.ones(weights.actions), np.zeros(weights.actions)
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    gain = 2 / np.where(high > low, high - low, np.inf)  # an action that cannot vary counts as 0
    return gain, -gain * (low + high) / 2


def _bounds(space: spaces.Box) -> tuple[Array | None, Array | None]:
    """Returns the bounds in float32, rounded inwards, so that what is clipped to them is in a float64 space too."""
    low, high = space.low.ravel().astype(np.float32), space.high.ravel().astype(np.float32)
    low = np.where(low < space.low.ravel(), np.nextafter(low, np.float32(np.inf)), low)
    high = np.where(high > space.high.ravel(), np.nextafter(high, np.float32(-np.inf)), high)
    return low if np.isfinite(low).any() else None, high if np.isfinite(high).any() else None


def _float64(layers: Layers) -> list[tuple[Array64, Array64]]:
    return [(weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in layers]


def _scaled_last(layers: list[tuple[Array64, Array64]], factor: Any) -> list[tuple[Array64, Array64]]:
    return [*layers[:-1], *((weight * factor, bias * factor) for weight, bias in layers[-1:])]


def _block(
    transition: Sequence[tuple[Array64, Array64]], reward: Sequence[tuple[Array64, Array64]], inputs: int
) -> list[tuple[Array64, Array64]]:
    """Returns one network whose outputs are those of both; the reward reads only the first ``inputs`` inputs."""
    layers = []
    for i, ((a, a_bias), (b, b_bias)) in enumerate(zip(transition, reward, strict=True)):
        rows = len(a) if i == 0 else len(a) + len(b)
        weight = np.zeros((rows, a.shape[1] + b.shape[1]))
        weight[: len(a), : a.shape[1]] = a
        if i == 0:
            weight[:inputs, a.shape[1] :] = b
        else:
            weight[len(a) :, a.shape[1] :] = b
        layers.append((weight, np.concatenate([a_bias, b_bias])))
    return layers


def _first_folded(
    layers: Sequence[tuple[Array64, Array64]],
    mean: Array64,
    std: Array64,
    gain: Array64,
    offset: Array64,
    discrete: bool,
) -> Network:
    """Folds the normalisation of states, and of actions if the network reads them, into the first layer."""
    (weight, bias), *later = layers
    state = weight[: mean.size] / std[:, None]
    bias = bias - mean @ state
    by_action, action = None, weight[mean.size :]
    if len(action):
        by_action = "row" if discrete else "weight"
        bias = bias + action if discrete else bias + offset @ action
        action = gain[:, None] * action
    return Network(
        state=_float32(state),
        bias=_float32(bias),
        action=_float32(action) if by_action == "weight" else None,
        later=tuple((_float32(w), _float32(b)) for w, b in later),
        by_action=by_action,
    )


def _float32(array: Array64) -> Array:
    return np.ascontiguousarray(array, np.float32)
