"""The contents of a learned environment: its document, its tensors, and the validation of both.

The format is described in docs/environments.md. Nothing here reads or writes files, or computes with the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from gtn_envs.document import ENVIRONMENT, FORMAT, as_tensor, check_kind, one_of
from gtn_envs.errors import WeightsError
from gtn_envs.space_encoding import Space, decode_space, encode_space

FORMS = ("mdp", "bandit", "reward")
ACTIVATIONS = ("tanh", "relu")
REWARD_MODES = ("state-action", "potential")

Array: TypeAlias = npt.NDArray[np.float32]
Layers: TypeAlias = "tuple[tuple[Array, Array], ...]"
"""Weight (in, out) and bias (out,) of each layer of an MLP."""

_ANY = -1  # any size, in an expected shape


@dataclass(frozen=True, eq=False)
class Weights:
    """A learned environment, validated: read from a file, or made by ``make_weights``.

    Attributes:
        source: Path of the file, or the name used in error messages.
        document: The whole JSON document, including provenance that nothing here interprets.
        tensors: All tensors by name, float32 and read-only.
        form: ``"mdp"``, ``"bandit"`` or ``"reward"``.
        observation_space: Observation space of the real task, and so of the environment.
        action_space: Action space of both.
    """

    source: Path | str
    document: Mapping[str, Any]
    tensors: Mapping[str, Array]
    form: str
    observation_space: spaces.Box
    action_space: Space

    def __post_init__(self) -> None:
        _check_tensors(self)
        self._freeze()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes the place of pickle's own, which loses that the tensors are read-only."""
        self.__dict__.update(state)
        self._freeze()

    def _freeze(self) -> None:
        for tensor in self.tensors.values():
            tensor.flags.writeable = False  # shared by every copy of the environment

    @property
    def path(self) -> Path | None:
        """Path of the file; None for an environment that was never in one."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def task(self) -> str:
        """Id of the real task."""
        return str(self.document["task"])

    @property
    def max_episode_steps(self) -> int | None:
        """Steps after which an episode ends (see ``limit_terminates``); None in the reward form (the real task's apply)."""
        limit = self.document.get("max_episode_steps")
        return None if limit is None else int(limit)

    @property
    def activation(self) -> str:
        """``"tanh"`` or ``"relu"``."""
        return str(self.document["activation"])

    @property
    def potential(self) -> bool:
        """Whether the reward network is a potential that shapes the real reward."""
        return self.form == "reward" and self.document["reward_mode"] == "potential"

    @property
    def regret(self) -> bool:
        """Whether a discrete action's reward is its output minus the best action's, so at most 0."""
        return bool(self.document.get("regret", False))

    @property
    def reward_reads_action(self) -> bool:
        """Whether the reward is the output of a network that reads the action, so that no action is known to be best."""
        return bool(self.document.get("reward_reads_action", False))

    @property
    def limit_terminates(self) -> bool:
        """Whether an episode that reaches ``max_episode_steps`` is terminated (a finite horizon), not truncated."""
        return bool(self.document.get("limit_terminates", False))

    @property
    def horizon(self) -> int | None:
        """Steps after which every episode terminates, whatever its state: 1 for a bandit; None without a horizon."""
        return self.max_episode_steps if self.limit_terminates or self.form == "bandit" else None

    @property
    def gamma(self) -> float:
        """Discount of the potential."""
        return float(self.document["gamma"])

    @property
    def actions(self) -> int:
        """Number of discrete actions, or flat size of a Box action."""
        return _actions(self.action_space)

    def layers(self, name: str) -> Layers:
        """Returns the layers of the network ``name``; empty if there is no such network."""
        tensors = self.tensors
        depth = sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in tensors)
        return tuple((tensors[f"{name}.{i}.weight"], tensors[f"{name}.{i}.bias"]) for i in range(depth))


def make_weights(
    tensors: Mapping[str, npt.ArrayLike], document: Mapping[str, Any], source: Path | str = "the environment"
) -> Weights:
    """Makes an environment from tensors and a document, without a file.

    Args:
        tensors: Tensors by their names in the format; copied as float32.
        document: ``form``, ``task``, ``observation_space`` and ``action_space`` (spaces, or the result of
            ``encode_space``), ``max_episode_steps`` (except in the reward form), ``activation``, in the reward form
            ``reward_mode`` and, for a potential, ``gamma``, optionally ``limit_terminates``, ``regret`` and
            ``reward_reads_action``, and any provenance. ``format`` and ``kind`` are filled in.
        source: Name of the environment in error messages.

    Raises:
        WeightsError: The document or a tensor is invalid.
    """
    document = {"format": FORMAT, "kind": ENVIRONMENT, **document}
    for key in ("observation_space", "action_space"):
        if isinstance(document.get(key), spaces.Space):
            try:
                document[key] = encode_space(document[key])
            except TypeError as error:
                raise WeightsError(f"{source}: {key}: {error}") from error
    copies = {n: np.array(as_tensor(source, n, given, np.float32), order="C") for n, given in tensors.items()}
    return validate(source, document, copies)


def validate(source: Path | str, document: Mapping[str, Any], tensors: Mapping[str, Array]) -> Weights:
    """Validates a document, then every tensor against its spaces; makes the given tensors read-only.

    Args:
        source: Path or name, for the error message.
        document: The whole document, with encoded spaces.
        tensors: Tensors by name.

    Raises:
        WeightsError: One line that names the file, the field or tensor, what was found and what was expected.
    """
    check_kind(source, document, (ENVIRONMENT,))
    form = one_of(source, document, "form", FORMS)
    one_of(source, document, "activation", ACTIVATIONS)
    if not isinstance(document.get("task"), str):
        raise WeightsError(f"{source}: 'task' is {document.get('task')!r}, expected the real task's id")
    observation_space, action_space = (_space(source, document, key) for key in ("observation_space", "action_space"))
    if not isinstance(observation_space, spaces.Box):
        raise WeightsError(f"{source}: 'observation_space' is {observation_space}, expected a Box")
    if isinstance(action_space, spaces.Box) and not action_space.is_bounded():
        raise WeightsError(f"{source}: 'action_space' is {action_space}, expected finite bounds")
    _check_limit(source, document, form)
    _check_flag(source, document, "limit_terminates", form == "mdp", "in the mdp form")
    if form == "reward" and one_of(source, document, "reward_mode", REWARD_MODES) == "potential":
        gamma = document.get("gamma")
        if not isinstance(gamma, int | float) or not 0 <= gamma <= 1:
            raise WeightsError(f"{source}: 'gamma' is {gamma!r}, expected a number from 0 to 1")
    potential = form == "reward" and document["reward_mode"] == "potential"
    _check_flag(source, document, "reward_reads_action", not potential, "where actions have rewards")
    graded = isinstance(action_space, spaces.Discrete) and not (potential or document.get("reward_reads_action"))
    _check_flag(source, document, "regret", graded, "where each Discrete action has a reward of its own")
    return Weights(source, document, tensors, form, observation_space, action_space)


def _check_limit(source: Path | str, document: Mapping[str, Any], form: str) -> None:
    limit = document.get("max_episode_steps")
    if form == "reward":
        valid, expected = limit is None, "none in the reward form"
    elif form == "bandit":
        valid, expected = limit == 1, "1 in the bandit form"
    else:
        valid, expected = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0, "a positive integer"
    if not valid:
        raise WeightsError(f"{source}: 'max_episode_steps' is {limit!r}, expected {expected}")


def _check_flag(source: Path | str, document: Mapping[str, Any], key: str, allowed: bool, where: str) -> None:
    value = document.get(key, False)
    if not isinstance(value, bool) or (value and not allowed):
        raise WeightsError(f"{source}: {key!r} is {value!r}, expected a boolean, and true only {where}")


def _space(source: Path | str, document: Mapping[str, Any], key: str) -> Space:
    encoded = document.get(key)
    if not isinstance(encoded, Mapping):
        raise WeightsError(f"{source}: {key!r} is {encoded!r}, expected an encoded Box or Discrete")
    try:
        space = decode_space(encoded)
    except ValueError as error:
        raise WeightsError(f"{source}: {key!r} is not a space: {error}") from error
    if isinstance(space, spaces.Box) and (space.dtype is None or space.dtype.kind != "f"):
        raise WeightsError(f"{source}: {key!r} is a Box of {space.dtype}, expected a floating dtype")
    return space


def _check_tensors(weights: Weights) -> None:
    """Checks names, dtypes, shapes and values."""
    source, tensors = weights.source, weights.tensors
    expected = dict(_expected(weights))
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise WeightsError(f"{source} lacks the tensor {name!r} of shape {_shape(expected[name])}")
        tensor = tensors[name]
        if name not in expected:
            raise WeightsError(
                f"{source} holds the tensor {name!r} of shape {tensor.shape}, which the format does not have"
            )
        if tensor.dtype != np.float32:
            raise WeightsError(f"{source}: tensor {name!r} has dtype {tensor.dtype}, expected float32")
        if len(tensor.shape) != len(expected[name]) or any(
            size not in (_ANY, found) or found == 0 for found, size in zip(tensor.shape, expected[name], strict=True)
        ):
            raise WeightsError(f"{source}: tensor {name!r} has shape {tensor.shape}, expected {_shape(expected[name])}")
        if not np.isfinite(tensor).all():
            raise WeightsError(f"{source}: tensor {name!r} holds a value that is not finite")
    if not (tensors["observation.std"] > 0).all():
        raise WeightsError(
            f"{source}: tensor 'observation.std' holds {tensors['observation.std'].min()}, expected values above 0"
        )
    if tensors.get("reward.scale", 0) < 0:  # else the action that the network prefers would be the worst
        raise WeightsError(f"{source}: tensor 'reward.scale' holds {tensors['reward.scale']}, expected at least 0")


def _expected(weights: Weights) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields the name and shape of every tensor that an environment of this form and these spaces must have."""
    d, m = math.prod(weights.observation_space.shape), weights.actions
    yield "observation.mean", (d,)
    yield "observation.std", (d,)
    if weights.form != "reward":
        yield "initial.means", (_ANY, d)
        yield "initial.log_std", (d,)
    yield from _expected_layers(weights.tensors, "reward", *_reward_sizes(weights))
    if not weights.potential or "reward.scale" in weights.tensors:
        yield "reward.scale", ()
    if weights.form == "mdp":
        yield from _expected_layers(weights.tensors, "transition", d + m, d)
        if any(name.startswith("termination.") for name in weights.tensors):
            yield from _expected_layers(weights.tensors, "termination", d, 1)


def _reward_sizes(weights: Weights) -> tuple[int, int]:
    """Returns the number of inputs and of outputs of the reward network."""
    d, m = math.prod(weights.observation_space.shape), weights.actions
    return (d + m, 1) if weights.reward_reads_action else (d, 1 if weights.potential else m)


def _expected_layers(
    tensors: Mapping[str, Array], name: str, inputs: int, outputs: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields the names and shapes of an MLP's tensors; depth and hidden widths are those of the file's weights."""
    depth = 1
    while f"{name}.{depth}.weight" in tensors:
        depth += 1
    for i in range(depth):
        weight = tensors.get(f"{name}.{i}.weight")
        width = outputs if i == depth - 1 else weight.shape[1] if weight is not None and weight.ndim == 2 else _ANY
        yield f"{name}.{i}.weight", (inputs, width)
        yield f"{name}.{i}.bias", (width,)
        inputs = width


def _shape(shape: tuple[int, ...]) -> str:
    return str(shape).replace(str(_ANY), "any")


def _actions(space: Space) -> int:
    return int(space.n) if isinstance(space, spaces.Discrete) else math.prod(space.shape)
