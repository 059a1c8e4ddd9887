"""Registers Gymnasium ids for the environments that ship with the package, real data sets, and a user's own files."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import error
from gymnasium.envs.registration import EnvSpec, parse_env_id

from gtn_envs.document import ENVIRONMENT, STREAM
from gtn_envs.document_file import file_in, read_document, require_suffix, resolve
from gtn_envs.shipped import shipped_ids
from gtn_envs.stream_file import load_stream
from gtn_envs.weights_file import load_environment

_ENTRY_POINT = "gtn_envs.synthetic_env:SyntheticEnv"
_VECTOR_ENTRY_POINT = "gtn_envs.vector_env:SyntheticVectorEnv"
_REWARD_ENTRY_POINT = "gtn_envs.learned_reward:make_with_learned_reward"
_STREAM_ENTRY_POINT = "gtn_envs.stream_env:DataStreamEnv"
_STREAM_VECTOR_ENTRY_POINT = "gtn_envs.stream_vector_env:DataStreamVectorEnv"
_REAL_ENTRY_POINT = "gtn_sl.real_stream:make_real_stream"
_REAL_VECTOR_ENTRY_POINT = "gtn_sl.real_stream:make_real_vector_stream"

_FILE_ARGUMENTS = ("weights", "stream")

REAL_STREAMS = {
    "digits": "GTN-Digits-Real-v0",
    "mnist": "GTN-MNIST-Real-v0",
    "fashion-mnist": "GTN-FashionMNIST-Real-v0",
    "cifar10": "GTN-CIFAR10-Real-v0",
}
"""Ids of real data sets, by the name of the task. Making one imports gtn_sl and needs the data.

The images are those to train on; ``gymnasium.make(id, split="test")`` makes the environment to evaluate in.
"""


def register_from_file(path: str | os.PathLike[str], id: str) -> EnvSpec:
    """Registers a file for ``gymnasium.make`` and ``gymnasium.make_vec`` in this process.

    A process without this registration, such as a spawned worker, can make the environment from the returned spec.
    Registering the same file under the same id again, by any spelling of its path, registers its current contents.

    Args:
        path: A ``.safetensors`` file of a learned environment or a data stream, or a run folder that holds one as
            ``teacher.safetensors``; the registry keeps the file's absolute path.
        id: ``[namespace/]Name-v<number>``.

    Returns:
        The registered spec.

    Raises:
        WeightsError: The file is not a valid environment or stream.
        gymnasium.error.RegistrationError: The id is malformed or already taken by something else, or the real task of a
            learned reward is not registered.
    """
    path = file_in(Path(path)).absolute()
    require_suffix(path)
    load, _ = _KINDS[read_document(path)["kind"]]
    document = load(path).document
    _check_id(id)
    present = gym.registry.get(id)
    if present is not None and path.resolve() not in (Path(file).resolve() for file in _file_arguments(present)):
        raise _taken(present)
    gym.registry.pop(id, None)  # registering over it would warn
    try:
        return _register(id, str(path), document)
    except BaseException:
        if present is not None:
            gym.registry[id] = present
        raise


def register_shipped() -> None:
    """Registers every shipped file under its own name, reading only its header."""
    for id in shipped_ids():
        if id not in gym.registry:
            _register(id, id, read_document(resolve(id)))


def register_real() -> None:
    """Registers the real data sets of ``REAL_STREAMS``."""
    for task, id in REAL_STREAMS.items():
        if id not in gym.registry:
            register_images(task, id)


def register_images(task: str, id: str) -> EnvSpec:
    """Registers a real data set, such as a user's own images; neither they nor gtn_sl are loaded until one is made.

    Args:
        task: See ``gtn_sl.data.find_task``.
        id: ``[namespace/]Name-v<number>``.

    Returns:
        The registered spec.

    Raises:
        gymnasium.error.RegistrationError: The id is malformed or already taken by something else.
    """
    _check_id(id)
    kwargs = {"task": task, "split": "train"}
    present = gym.registry.get(id)
    if present is not None and (present.entry_point, present.kwargs) != (_REAL_ENTRY_POINT, kwargs):
        raise _taken(present)
    gym.registry.pop(id, None)  # registering over it would warn
    gym.register(id, _REAL_ENTRY_POINT, kwargs=kwargs, vector_entry_point=_REAL_VECTOR_ENTRY_POINT)
    return gym.registry[id]


def file_of(spec: EnvSpec | str) -> Path | None:
    """Returns the file behind an id of this package; None for any other id.

    Args:
        spec: A spec, or the id of a registered one.

    Raises:
        WeightsError: The file no longer exists.
        gymnasium.error.Error: The id is not registered.
    """
    named = _file_arguments(gym.spec(spec) if isinstance(spec, str) else spec)
    return resolve(named[0]) if named else None


def _file_arguments(spec: EnvSpec) -> list[str]:
    """Returns the path or shipped name that an id of this package is made with, in a list; empty without one."""
    ours = str(spec.entry_point).startswith("gtn_envs.")
    given = [spec.kwargs[name] for name in _FILE_ARGUMENTS if name in spec.kwargs] if ours else []
    return [os.fspath(file) for file in given if isinstance(file, str | os.PathLike)]  # anything else is in memory


def _check_id(id: str) -> None:
    """Raises ``RegistrationError`` unless an id is ``[namespace/]Name-v<number>``."""
    try:
        version = parse_env_id(id)[2]
    except error.Error:
        version = None
    if version is None:
        raise error.RegistrationError(f"{id!r} is not an environment id: expected [namespace/]Name-v<number>")


def _taken(present: EnvSpec) -> error.RegistrationError:
    return error.RegistrationError(
        f"{present.id!r} is already registered, with {present.kwargs or present.entry_point}"
    )


def _register(id: str, file: str, document: Mapping[str, Any]) -> EnvSpec:
    _, register = _KINDS[document["kind"]]
    register(id, file, document)
    return gym.registry[id]


def _register_environment(id: str, file: str, document: Mapping[str, Any]) -> None:
    if document["form"] == "reward":
        limit = _task_spec(str(document["task"])).max_episode_steps
        gym.register(id, _REWARD_ENTRY_POINT, max_episode_steps=limit, kwargs={"weights": file})
    else:
        ends_itself = document["form"] == "bandit" or document.get("limit_terminates")
        gym.register(
            id,
            _ENTRY_POINT,
            max_episode_steps=None if ends_itself else document["max_episode_steps"],
            kwargs={"weights": file},
            vector_entry_point=_VECTOR_ENTRY_POINT,
        )


def _register_stream(id: str, file: str, document: Mapping[str, Any]) -> None:
    gym.register(id, _STREAM_ENTRY_POINT, kwargs={"stream": file}, vector_entry_point=_STREAM_VECTOR_ENTRY_POINT)


_KINDS: dict[str, tuple[Callable[[Path], Any], Callable[[str, str, Mapping[str, Any]], None]]] = {
    ENVIRONMENT: (load_environment, _register_environment),
    STREAM: (load_stream, _register_stream),
}
"""By kind of file: what validates it, and what registers it."""


def _task_spec(task: str) -> EnvSpec:
    """Returns the spec of a real task; for ``module:id``, imports the module first."""
    module, _, name = task.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gym.spec(name)
    except Exception as reason:  # a user's module can raise anything
        raise error.RegistrationError(f"the real task {task!r} is not registered: {reason}") from reason
