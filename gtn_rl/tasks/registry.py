"""Turns a Gymnasium id into a ``BatchedTask``: a re-implementation if there is one, else the environment itself."""

from __future__ import annotations

import difflib
import importlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gymnasium as gym
import torch
from gymnasium.error import DependencyNotInstalled, UnregisteredEnv

from gtn_core.errors import WHERE, GTNError, UnknownNameError, UsageError
from gtn_core.registry import Registry
from gtn_rl.tasks.acrobot import ACROBOT
from gtn_rl.tasks.cartpole import CARTPOLE
from gtn_rl.tasks.classic_control import ClassicControl, Physics
from gtn_rl.tasks.mountain_car import MOUNTAIN_CAR, MOUNTAIN_CAR_CONTINUOUS
from gtn_rl.tasks.pendulum import PENDULUM
from gtn_rl.tasks.protocol import BatchedTask, TaskSpec, spec_of
from gtn_rl.tasks.workers import EnvPool

BATCHED: Registry[Callable[[TaskSpec, torch.device], BatchedTask]] = Registry("batched task")
"""Re-implementations by Gymnasium id, each a factory that takes a spec and a device."""

EXTRAS = {"gymnasium.envs.box2d": "box2d", "gymnasium.envs.mujoco": "mujoco"}
"""The extra, of Gymnasium and of this package alike, that installs what Gymnasium's environments in a module need."""


def make_task(
    id: str,
    *,
    device: torch.device | str = "cpu",
    workers: int | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> BatchedTask:
    """Returns the batched task of a Gymnasium id.

    Args:
        id: E.g. ``"CartPole-v1"``, or ``"my_package:MyEnv-v0"``, which imports ``my_package`` first.
        device: Device of its tensors.
        workers: Number of processes that step an environment without a re-implementation; 0 steps it in this process,
            None means one per CPU.
        env_kwargs: Keyword arguments of the environment; with any, the re-implementation is never used.

    Raises:
        UsageError: The id is unknown, its package is missing, its spaces are not supported, or ``workers`` is negative.
        GTNError: The environment's own code fails.
    """
    env = make_env(id, env_kwargs or {})
    try:
        spec, env_spec = spec_of(env), env.spec
    finally:
        env.close()
    if spec.id in BATCHED and not env_kwargs:
        return BATCHED[spec.id](spec, torch.device(device))
    assert env_spec is not None  # checked by spec_of
    if module := id.rpartition(":")[0]:
        spec = replace(spec, id=f"{module}:{spec.id}")
    return EnvPool(spec, env_spec, torch.device(device), workers)


def make_env(id: str, env_kwargs: Mapping[str, Any]) -> gym.Env:
    """Returns the Gymnasium environment of an id.

    Raises:
        UsageError: The id is unknown or lacks its version, or a package that it needs is not installed.
        GTNError: The environment's own code fails, or the images of a real data set are missing.
    """
    module, _, bare = id.rpartition(":")
    try:
        with warnings.catch_warnings():
            # Box2D's import warns from C, and crashes the interpreter where warnings are errors.
            warnings.filterwarnings("ignore", "builtin type .* has no __module__ attribute", DeprecationWarning)
            if module:
                importlib.import_module(module)
            if bare not in gym.registry and not re.search(r"-v\d+$", bare):
                raise UnregisteredEnv(id)  # Gymnasium would take the newest version, of which presets know nothing
            return gym.make(id, disable_env_checker=True, **env_kwargs)
    except UnregisteredEnv as error:
        raise unknown_environment(id) from error
    except DependencyNotInstalled as error:
        raise UsageError(f"{id} needs a package that is not installed: {how_to_install(id) or error}") from error
    except (ModuleNotFoundError, gym.error.Error) as error:
        raise UsageError(f"{id}: {error}") from error
    except GTNError:  # the images of a real data set are missing
        raise
    except Exception as error:  # raised by the environment's own code
        raise GTNError(f"{id} cannot be made: {type(error).__name__}: {error} ({WHERE})") from error


def unknown_environment(id: str) -> UnknownNameError:
    """Returns the error for an unregistered id, with the nearest id, or how to name a user's own."""
    module, _, bare = id.rpartition(":")
    near = difflib.get_close_matches(bare, gym.registry, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"importing {module!r} does not register it"
    if not near and not module:
        hint = "for one that your own package registers, use my_package:MyEnv-v0"
    return UnknownNameError(f"unknown environment {bare!r}; {hint}")


def how_to_install(id: str) -> str | None:
    """Returns the command that installs what one of Gymnasium's own environments needs; None for others."""
    spec = gym.registry.get(id)
    entry_point = spec.entry_point if spec else None
    for module, extra in EXTRAS.items():
        if isinstance(entry_point, str) and entry_point.startswith(module):
            return f'pip install "gymnasium[{extra}]"'
    return None


def _register(id: str, physics: Physics) -> None:
    BATCHED.register(id)(lambda spec, device: ClassicControl(spec, physics, device))


_register("CartPole-v1", CARTPOLE)
_register("Acrobot-v1", ACROBOT)
_register("MountainCar-v0", MOUNTAIN_CAR)
_register("MountainCarContinuous-v0", MOUNTAIN_CAR_CONTINUOUS)
_register("Pendulum-v1", PENDULUM)
