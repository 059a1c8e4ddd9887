"""The interface to the two kinds of meta-training on the command line: their settings, training and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gtn_cli.environment_training import Reinforcement
from gtn_cli.given import Given
from gtn_cli.teacher_training import Supervised
from gtn_core.errors import UsageError

if TYPE_CHECKING:
    from gtn_core.distributed import World
    from gtn_core.outer_loop import Listener
    from gtn_core.progress import Progress
    from gtn_core.run_folder import RunFolder


class MetaTraining(Protocol):
    """One kind of meta-training, with its settings resolved."""

    @property
    def config(self) -> Any:
        """All settings."""

    @property
    def title(self) -> str:
        """What is being made, for the first line of the log."""

    @property
    def slug(self) -> str:
        """Start of the default run folder's name."""

    def train(self, run: RunFolder, world: World, *, resume: bool, listener: Listener, command: str) -> Progress:
        """Runs the meta-training on all processes of a world and, on rank 0, writes its report."""

    def figures(self, progress: Progress, values: Mapping[str, float]) -> str:
        """Returns the text of the progress bar after an outer step."""

    def summary(self, run: RunFolder, progress: Progress) -> tuple[dict[str, Any], str, str]:
        """Returns the specific results as JSON values, a sentence that states them, and a command to run next."""


def new_meta_training(task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> MetaTraining:
    """Returns the meta-training of a task: an environment if the name is a Gymnasium id, else a teacher of images.

    Raises:
        UsageError: The task is unknown, a setting is invalid, or an option has no meaning for the task.
    """
    if is_environment(task):
        return Reinforcement.new(task, preset, layers, given)
    _refuse_unknown(task)
    return Supervised.new(task, preset, layers, given)


def resumed_meta_training(settings: Mapping[str, Any], given: Given) -> MetaTraining:
    """Returns the meta-training of an existing run, of which budget, threads, data folder and device may change.

    Raises:
        UsageError: A setting is invalid, or an option has no meaning for the task.
    """
    if "stages" in settings:
        return Reinforcement.resumed(settings, given)
    return Supervised.resumed(settings, given)


def is_environment(task: str) -> bool:
    """Returns whether a task's name is a Gymnasium id: it ends in a version, or the module it names registers it."""
    if re.search(r"-v\d+$", task):
        return True
    from gtn_sl.data import names_images

    if ":" not in task or names_images(task):
        return False
    import gymnasium as gym

    return task.rpartition(":")[2] in gym.registry  # names_images has imported the module, if possible


def _refuse_unknown(task: str) -> None:
    """Checks that a name is that of an image task.

    Raises:
        UsageError: It is not; for a Gymnasium id without its version, the message suggests the latest version.
    """
    from gtn_sl.data import find_task, names_images

    if names_images(task):
        return
    import gymnasium as gym

    package, colon, name = task.rpartition(":")
    known = [spec for spec in gym.registry.values() if spec.name == name and spec.namespace is None]
    if known:
        newest = max(known, key=lambda spec: spec.version or 0)
        raise UsageError(f"unknown task {task!r}; did you mean the environment {package + colon + newest.id!r}?")
    find_task(task)
