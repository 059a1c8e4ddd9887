"""The learning algorithms by name: where each is found, and which actions it accepts. They are imported lazily."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import gymnasium as gym

from gtn_core.errors import GTNError, UsageError, unknown_name

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclass(frozen=True)
class Algorithm:
    """One learning algorithm of Stable-Baselines3 or sb3-contrib.

    Attributes:
        name: Name on the command line.
        where: Import path, ``"module:Class"``.
        actions: Kind of action spaces that it accepts.
        noise: Whether a trained agent's stochastic actions differ from its deterministic ones.
        recurrent: Whether an action depends on more than the latest observation.
    """

    name: str
    where: str
    actions: Literal["discrete", "continuous", "any"]
    noise: bool = True
    recurrent: bool = False

    def load(self) -> type[BaseAlgorithm]:
        """Imports the class.

        Raises:
            GTNError: Its package is not installed.
        """
        module, _, name = self.where.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except ImportError as error:
            package = module.replace("_", "-")
            raise GTNError(f"{self.name} needs the package {package}: pip install {package} ({error})") from error
        assert isinstance(found, type)
        return found

    @property
    def library(self) -> str:
        """The packages that train it, with their versions: ``stable-baselines3 2.7.0``; they must be installed."""
        modules = dict.fromkeys((self.where.partition(":")[0], "stable_baselines3"))
        return ", ".join(f"{name.replace('_', '-')} {importlib.import_module(name).__version__}" for name in modules)

    def takes(self, space: gym.Space) -> bool:
        """Returns whether the algorithm accepts an action space."""
        if isinstance(space, gym.spaces.Discrete):
            return self.actions != "continuous"
        if isinstance(space, gym.spaces.Box):
            return self.actions != "discrete"
        return self.name in TAKE_COMPOUND and isinstance(space, gym.spaces.MultiDiscrete | gym.spaces.MultiBinary)


ALGORITHMS = {
    entry.name: entry
    for entry in (
        Algorithm("ppo", "stable_baselines3:PPO", "any"),
        Algorithm("a2c", "stable_baselines3:A2C", "any"),
        Algorithm("dqn", "stable_baselines3:DQN", "discrete"),
        Algorithm("sac", "stable_baselines3:SAC", "continuous"),
        Algorithm("td3", "stable_baselines3:TD3", "continuous", noise=False),
        Algorithm("ddpg", "stable_baselines3:DDPG", "continuous", noise=False),
        Algorithm("trpo", "sb3_contrib:TRPO", "any"),
        Algorithm("qrdqn", "sb3_contrib:QRDQN", "discrete"),
        Algorithm("tqc", "sb3_contrib:TQC", "continuous"),
        Algorithm("crossq", "sb3_contrib:CrossQ", "continuous"),
        Algorithm("ars", "sb3_contrib:ARS", "any", noise=False),
        Algorithm("ppo_lstm", "sb3_contrib:RecurrentPPO", "any", recurrent=True),
    )
}
"""Algorithms by name, as rl-zoo3 names them. MaskablePPO is absent: these tasks mask no actions."""

TAKE_COMPOUND = ("ppo", "a2c", "trpo", "ppo_lstm")

NUMBERED_FROM_ZERO = "register the task wrapped in gymnasium.wrappers.TransformAction to number its actions from 0"
"""What to do about a task whose discrete actions do not start at 0."""

FITTING = {"discrete": ("ppo", "a2c", "dqn"), "continuous": ("ppo", "sac", "td3")}
"""The algorithms that a transfer study trains by default, by kind of action."""


def algorithm(name: str) -> Algorithm:
    """Returns the algorithm of that name.

    Raises:
        UnknownNameError: There is none; the message suggests the nearest name.
    """
    if name.lower() not in ALGORITHMS:
        raise unknown_name("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name.lower()]


def require_fit(entry: Algorithm, space: gym.Space, env: str) -> None:
    """Checks that an algorithm can act in an environment.

    Args:
        entry: The algorithm.
        space: The environment's action space.
        env: The environment's name, for the message.

    Raises:
        UsageError: It cannot; for the wrong kind of actions, the message lists the algorithms that can.
    """
    if isinstance(space, gym.spaces.Box) and not space.is_bounded():
        raise UsageError(f"{env} has actions of {space}; only bounded ones are supported")
    if isinstance(space, gym.spaces.Discrete) and space.start != 0:
        raise UsageError(
            f"{env} has actions of {space}, but Stable-Baselines3 numbers them from 0: {NUMBERED_FROM_ZERO}"
        )
    if isinstance(space, gym.spaces.Box) and entry.actions == "continuous" and (space.low == space.high).any():
        raise UsageError(
            f"{entry.name} scales actions to their bounds, but an entry of {env}'s {space} has equal bounds"
        )
    if not entry.takes(space):
        fitting = ", ".join(other.name for other in ALGORITHMS.values() if other.takes(space))
        raise UsageError(f"{entry.name} does not support the actions of {env}, {space}; these do: {fitting or 'none'}")


def fitting_algorithms(space: gym.Space) -> tuple[str, ...]:
    """Returns the algorithms that a transfer study trains by default in an action space."""
    usual = FITTING["continuous" if isinstance(space, gym.spaces.Box) else "discrete"]
    return tuple(name for name in usual if ALGORITHMS[name].takes(space))
