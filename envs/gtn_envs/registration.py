"""Environments under Gymnasium ids: those that come with the package, and a user's own files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import error
from gymnasium.envs.registration import EnvSpec, parse_env_id

from gtn_envs.errors import WeightsError
from gtn_envs.weights_file import SHIPPED, load_environment, read_document

_ENTRY_POINT = "gtn_envs.synthetic_env:SyntheticEnv"
_VECTOR_ENTRY_POINT = "gtn_envs.vector_env:SyntheticVectorEnv"
_REWARD_ENTRY_POINT = "gtn_envs.learned_reward:make_with_learned_reward"


def register_from_file(path: str | os.PathLike[str], id: str) -> EnvSpec:
    """Registers a file for ``gymnasium.make`` and ``gymnasium.make_vec`` in this process.

    A process that starts without this registration (a spawned worker) makes the environment from the returned spec.
    Registering the same file under the same id again changes nothing.

    Args:
        path: A ``.safetensors`` file; its absolute path is what the registry keeps.
        id: ``[namespace/]Name-v<number>``.

    Returns:
        What was registered.

    Raises:
        WeightsError: The file is not a valid environment.
        gymnasium.error.RegistrationError: The id is malformed or stands for something else already, or the real task of a
            learned reward is not registered.
    """
    path = Path(path).absolute()
    if path.suffix != ".safetensors":
        raise WeightsError(f"the file {path} has to be called <name>.safetensors")
    document = load_environment(path).document
    try:
        version = parse_env_id(id)[2]
    except error.Error:
        version = None
    if version is None:
        raise error.RegistrationError(f"{id!r} is not an environment id: expected [namespace/]Name-v<number>")
    present = gym.registry.get(id)
    if present is not None:
        if present.kwargs.get("weights") == str(path):
            return present
        raise error.RegistrationError(f"{id!r} is registered already, with {present.kwargs or present.entry_point}")
    return _register(id, str(path), document)


def register_shipped() -> None:
    """Registers every file of the package under its own name, from its header alone."""
    for path in sorted(SHIPPED.glob("*.safetensors")):
        if path.stem not in gym.registry:
            _register(path.stem, path.stem, read_document(path))


def _register(id: str, weights: str, document: Mapping[str, Any]) -> EnvSpec:
    if document["form"] == "reward":
        limit = _task_spec(str(document["task"])).max_episode_steps
        gym.register(id, _REWARD_ENTRY_POINT, max_episode_steps=limit, kwargs={"weights": weights})
    else:
        gym.register(
            id,
            _ENTRY_POINT,
            max_episode_steps=None if document.get("limit_terminates") else document["max_episode_steps"],
            kwargs={"weights": weights},
            vector_entry_point=_VECTOR_ENTRY_POINT,
        )
    return gym.registry[id]


def _task_spec(task: str) -> EnvSpec:
    """Returns the spec of a real task, importing the module that a ``module:id`` names."""
    module, _, name = task.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gym.spec(name)
    except (error.Error, ImportError) as reason:
        raise error.RegistrationError(f"the real task {task!r} is not registered: {reason}") from reason
