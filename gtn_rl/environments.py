"""Resolves the name of an environment on the command line, and the real task behind a synthetic one."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym

import gtn_envs  # registers the shipped environments
from gtn_core.errors import GTNError, UsageError
from gtn_core.run_folder import teacher_of
from gtn_rl.tasks.registry import make_env, unknown_environment

OBSERVATIONS = (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)
"""Observation spaces that agents with an MLP policy accept."""

IMAGES = ".npz"
"""Suffix of a file of real images."""

FROM_FILE = "GTN-File-"
"""Prefix of the ids under which this process registers files and a user's own images."""


@dataclass(frozen=True)
class Environment:
    """An environment to train in, registered in this process.

    Attributes:
        name: The name as given: an id, ``package:id``, or a path.
        id: Its Gymnasium id.
        observation_space: Its observation space.
        action_space: Its action space.
        file: The synthetic environment's file; None for any other environment.
        document: The file's header; empty without a file.
        stream: Whether it is a data stream, synthetic or real: the action names the class of an image.
        images: For a user's own real images, twelve hex digits that identify their content; None otherwise.
    """

    name: str
    id: str
    observation_space: gym.Space
    action_space: gym.Space
    file: Path | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    images: str | None = None

    @property
    def real_task(self) -> str:
        """The task that agents are meant for: the one that the file names, else the environment itself."""
        named = self.document.get("task")
        if self.stream:  # a stream's file names a data set
            named = gtn_envs.REAL_STREAMS.get(str(named), named if _is_own(str(named)) else None)
        return str(named or self.full_id)

    @property
    def native(self) -> bool:
        """Whether its copies are stepped together by a vector environment of ``gtn_envs``."""
        return self.stream or self.document.get("form") in ("mdp", "bandit")

    @property
    def judged(self) -> dict[str, Any]:
        """Keyword arguments for evaluating agents in it: for a data set, the test split, which is never trained on."""
        return {"split": "test"} if "split" in gym.spec(self.id).kwargs else {}

    @property
    def full_id(self) -> str:
        """Name by which another process can find it: its id, with the package it was given with, if any, or a path."""
        if self.id.startswith(FROM_FILE):
            return self.name
        package = self.name.rpartition(":")[0]
        return self.id if package in ("", "gtn_envs") else f"{package}:{self.id}"  # gtn_envs is imported here

    @property
    def digest(self) -> str | None:
        """Twelve hex digits that identify the content of its file or of a user's own images; None without either."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()[:12] if self.file else self.images

    def listed_as(self, real: str | None = None) -> tuple[str, ...]:
        """Returns the names under which hyper-parameters for it may be listed, best first.

        They are its own id, ``real``, and the task that its file names; each also without its package.

        Args:
            real: The real task that agents are judged on, if it is known.
        """
        names = (self.id, real or self.real_task, self.real_task)
        return tuple(dict.fromkeys(listed for name in names for listed in (name, name.rpartition(":")[2])))


def find_environment(name: str) -> Environment:
    """Finds the environment that a name refers to, and registers it if it is a file or a user's own images.

    Args:
        name: A Gymnasium id, ``package:id``, the path of a ``.safetensors`` file or of a run folder that holds one, or a user's
            own images.

    Raises:
        UsageError: There is no such environment, package or file, it needs a package that is not installed, or agents
            do not accept its observations.
        GTNError: The file is not a valid environment, or the environment's own code fails.
    """
    try:
        path = teacher_of(Path(name))
        if path.suffix == ".safetensors":
            found = _register_file(path)
        else:
            found = _register_images(name) if _names_images(name) else _registered(name)
        env = make_env(found, {})
        file = gtn_envs.file_of(gym.spec(found))
        document = gtn_envs.read_document(file) if file else {}
    except (gtn_envs.WeightsError, gym.error.RegistrationError) as error:
        raise GTNError(str(error)) from error
    env.close()
    observations, inner = env.observation_space, env.unwrapped
    stream = inner.stream if isinstance(inner, gtn_envs.DataStreamEnv) else None
    if not isinstance(observations, OBSERVATIONS):
        kinds = ", ".join(kind.__name__ for kind in OBSERVATIONS)
        raise UsageError(f"{name} has observations of {observations}; agents support {kinds}")
    images = None if stream is None else stream.document.get("data")
    return Environment(name, found, observations, env.action_space, file, document, stream is not None, images)


def require_same_spaces(place: Environment, real: Environment) -> None:
    """Checks that an agent trained in an environment can play the real task.

    Raises:
        UsageError: The observation shapes or the action spaces differ.
    """
    if place.observation_space.shape != real.observation_space.shape or place.action_space != real.action_space:
        seen = (
            f"{place.observation_space} and {place.action_space}, not {real.observation_space} and {real.action_space}"
        )
        raise UsageError(f"an agent of {place.name} cannot play {real.name}: their spaces differ ({seen})")


def _register_file(path: Path) -> str:
    """Registers a file under an id with a digest of its path and content, so that a rewritten file gets a new id."""
    if not path.is_file():
        raise UsageError(f"environment file {path} does not exist")
    where = hashlib.sha256(str(path.absolute()).encode() + path.read_bytes()).hexdigest()[:12]
    return gtn_envs.register_from_file(path, f"{FROM_FILE}{where}-v0").id


def _names_images(name: str) -> bool:
    """Returns whether a name is a user's own image data set, as ``gtn_sl.data.find_task`` would, without its import."""
    if name.endswith(IMAGES):
        return True
    package, colon, attribute = name.rpartition(":")
    return bool(colon) and hasattr(getattr(_imported(package, name), attribute, None), "image_shape")


def _is_own(task: str) -> bool:
    """Returns whether a task's name has the form of a user's own images, which may be on another machine."""
    return task.endswith(IMAGES) or ":" in task


def _register_images(task: str) -> str:
    """Registers a user's own images, once per name, and returns the id."""
    id = f"{FROM_FILE}{hashlib.sha256(str(task).encode()).hexdigest()[:12]}-v0"
    return id if id in gym.registry else gtn_envs.register_images(task, id).id


def _registered(name: str) -> str:
    """Imports the package of ``package:id`` and returns the id, which must have its version."""
    package, colon, bare = name.rpartition(":")
    if colon:
        _imported(package, name)
    if Path(name).is_file():
        raise UsageError(
            f"{name} is not an environment; expected a .safetensors file, such as gtn-cli export-dataset writes"
        )
    try:
        return gym.spec(bare).id
    except gym.error.Error as error:
        if Path(name).is_dir():
            raise UsageError(f"{name} has no teacher yet: {Path(name, 'teacher.safetensors')} does not exist") from None
        if isinstance(error, gym.error.NamespaceNotFound):  # a path looks like an id with a namespace
            raise UsageError(f"{name!r} is neither an environment nor a run folder") from None
        raise unknown_environment(name) from None


def _imported(package: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UsageError(f"cannot import the package {package!r} of {name!r}: {error}") from None
