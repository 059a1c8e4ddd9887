"""Folds a file's tensors into the few matrices that map raw states and actions to raw next states and rewards.

The networks of a step are merged into one, in which every level reads the level before it and, again, the inputs
``[action features, 1, state]``. A level is thus one matrix without a bias. The normalisation of states and actions, the
standard deviation of the states and the reward's scale are folded into the matrices, the last level adds the old state
to the new one, and shallower networks, even linear ones, are aligned at the last level. numpy and torch run the same
matrices, computed once in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gtn_envs.box_bounds import float32_within
from gtn_envs.errors import WeightsError
from gtn_envs.valid_weights import Array, Layers, Weights

Array64: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Program:
    """The computation of one step; d is the flat size of an observation, m the number of actions or their flat size.

    Attributes:
        levels: Matrices (out, units + inputs) on the units of the previous level (none for the first) and on the
            inputs. The activation follows each level but the last. The last one outputs the next state before clipping
            (d,), if there is a transition, and then the reward's outputs: one per discrete action, or the targets (m,)
            of a Box action before their tanh, or the reward itself (``reward_reads_action``), or a potential.
        features: Number of inputs before the 1 and the state: the m values of a Box action, or m - 1 indicators of the
            discrete actions 1, ..., m - 1. 0 if no network reads the action. (The state is last because summing in this
            order rounds least: it is often by far the largest part of the next state.)
        termination: Levels of the next state's termination logit, on the inputs ``[1, state]``; None if nothing
            terminates.
        activation: ``"tanh"`` or ``"relu"``.
        size: d.
        transition: Whether the state changes; False for a bandit.
        discrete: Whether actions are discrete; here they are numbered from 0.
        reward_reads_action: Whether the reward is the output of a network that reads the action.
        action_gain: With ``action_offset``, normalises a Box action: a * gain + offset is in [-1, 1]; (m,).
        action_offset: See ``action_gain``; (m,).
        scale: Scale of a Box action's distance from its target; any other reward's is folded into ``levels``.
        regret: Whether a discrete action's reward is its output minus the largest one.
        low: Lower bounds of the state, (d,); -inf where there is none.
        high: Upper bounds of the state, (d,); inf where there is none.
        initial_means: Raw initial states without noise, (K, d).
        initial_std: Raw standard deviation of the initial states' noise, (d,).
    """

    levels: tuple[Array, ...]
    features: int
    termination: tuple[Array, ...] | None
    activation: str
    size: int
    transition: bool
    discrete: bool
    reward_reads_action: bool
    action_gain: Array
    action_offset: Array
    scale: float
    regret: bool
    low: Array
    high: Array
    initial_means: Array
    initial_std: Array


def fold(weights: Weights) -> Program:
    """Returns the program of an environment.

    Raises:
        WeightsError: Folded values are beyond float32, or no float32 number lies between the observation's bounds.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        program = _program(weights)
    for what, arrays in (
        ("the networks", (*program.levels, *(program.termination or ()))),
        ("the initial states", (program.initial_means, program.initial_std)),
        ("the normalisation of actions", (program.action_gain, program.action_offset)),
    ):
        if not all(np.isfinite(array).all() for array in arrays):
            raise WeightsError(
                f"{weights.source}: {what} and the tensors 'observation.*' combine to values that overflow float32"
            )
    if not (program.low <= program.high).all():
        raise WeightsError(
            f"{weights.source}: no float32 number lies between the bounds of {weights.observation_space}"
        )
    return program


def _program(weights: Weights) -> Program:
    tensors = {name: tensor.astype(np.float64) for name, tensor in weights.tensors.items()}
    mean, std = tensors["observation.mean"], tensors["observation.std"]
    transition, discrete = weights.form == "mdp", isinstance(weights.action_space, spaces.Discrete)
    gain, offset = _action_normalisation(weights)
    reward_reads_action = weights.reward_reads_action
    features = weights.actions - discrete if transition or reward_reads_action else 0
    inputs = _Inputs(mean, std, gain, offset, discrete, features)
    scale = float(tensors.get("reward.scale", np.ones(())))
    is_distance = not (discrete or reward_reads_action or weights.potential)
    networks = [_scaled(inputs.network(weights.layers("reward")), 1.0 if is_distance else scale)]
    if transition:
        networks.insert(0, _residual(_scaled(inputs.network(weights.layers("transition")), std)))
    termination = replace(inputs, features=0).network(weights.layers("termination"))
    means, log_std = tensors.get("initial.means", np.zeros((1, mean.size))), tensors.get("initial.log_std", 0 * mean)
    low, high = float32_within(weights.observation_space)
    return Program(
        levels=_joined(networks),
        features=features,
        termination=_joined([termination]) if termination else None,
        activation=weights.activation,
        size=mean.size,
        transition=transition,
        discrete=discrete,
        reward_reads_action=reward_reads_action,
        action_gain=gain.astype(np.float32),
        action_offset=offset.astype(np.float32),
        scale=scale,
        regret=weights.regret,
        low=low,
        high=high,
        initial_means=(mean + std * means).astype(np.float32),
        initial_std=(std * np.exp(log_std)).astype(np.float32),
    )


def _action_normalisation(weights: Weights) -> tuple[Array64, Array64]:
    """Returns the gain and offset that map a Box action to [-1, 1]; ones and zeros for discrete actions."""
    space = weights.action_space
    if isinstance(space, spaces.Discrete):
        return np.ones(weights.actions), np.zeros(weights.actions)
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    gain = 2 / np.where(high > low, high - low, np.inf)  # where the bounds are equal, the action maps to 0
    return gain, -gain * (low + high) / 2


@dataclass(frozen=True)
class _Layer:
    """A layer of a network: weights on the previous layer's units (out, units) and on the inputs (out, inputs)."""

    units: Array64
    inputs: Array64


@dataclass(frozen=True)
class _Inputs:
    """Folds the normalisation of the raw inputs ``[action features, 1, state]`` into a file's networks."""

    mean: Array64
    std: Array64
    gain: Array64
    offset: Array64
    discrete: bool
    features: int

    def network(self, layers: Layers) -> list[_Layer]:
        """Returns a network that reads the raw inputs in its first layer and takes later biases from the 1."""
        if not layers:
            return []
        d = self.mean.size
        (weight, bias), *later = [(weight.astype(np.float64), bias.astype(np.float64)) for weight, bias in layers]
        state, action = weight[:d] / self.std[:, None], weight[d:]
        bias = bias - self.mean @ state
        if not len(action):
            action = np.zeros((self.features, bias.size))
        elif self.discrete:
            bias, action = bias + action[0], action[1:] - action[0]
        else:
            bias, action = bias + self.offset @ action, self.gain[:, None] * action
        network = [_Layer(np.zeros((bias.size, 0)), np.vstack([action, bias, state]).T)]
        for weight, bias in later:
            inputs = np.zeros((bias.size, d + 1 + self.features))
            inputs[:, self.features] = bias
            network.append(_Layer(weight.T, inputs))
        return network


def _scaled(network: list[_Layer], factor: Any) -> list[_Layer]:
    """Multiplies a network's outputs by a number, or by one number per output (out,)."""
    *earlier, last = network
    column = np.reshape(factor, (-1, 1))
    return [*earlier, _Layer(last.units * column, last.inputs * column)]


def _residual(network: list[_Layer]) -> list[_Layer]:
    """Adds the state to a network's outputs (d,)."""
    *earlier, last = network
    rows, columns = last.inputs.shape
    return [*earlier, _Layer(last.units, last.inputs + np.eye(rows, columns, columns - rows))]


def _joined(networks: Sequence[list[_Layer]]) -> tuple[Array, ...]:
    """Places networks side by side, aligned at their last layers, and returns the matrices of the levels."""
    levels = []
    for i in range(-max(map(len, networks)), 0):
        layers = [network[i] for network in networks if len(network) >= -i]
        units = np.zeros((sum(len(layer.units) for layer in layers), sum(layer.units.shape[1] for layer in layers)))
        row = column = 0
        for layer in layers:
            rows, columns = layer.units.shape
            units[row : row + rows, column : column + columns] = layer.units
            row, column = row + rows, column + columns
        levels.append(np.hstack([units, np.vstack([layer.inputs for layer in layers])]).astype(np.float32))
    return tuple(levels)
