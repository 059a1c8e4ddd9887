"""What differs between the two kinds of meta-training on the command line: settings, the trainer, and what to say of it."""

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
        """All its settings."""

    @property
    def title(self) -> str:
        """What is made, for the log's first line."""

    @property
    def slug(self) -> str:
        """Start of the run folder's name."""

    def train(self, run: RunFolder, world: World, *, resume: bool, listener: Listener, command: str) -> Progress:
        """Runs it, on all processes of a world, and writes its report, on the first."""

    def figures(self, progress: Progress, values: Mapping[str, float]) -> str:
        """Returns what the progress bar says after an outer step."""

    def summary(self, run: RunFolder, progress: Progress) -> tuple[dict[str, Any], str, str]:
        """Returns its own part of the result as JSON values, the result as a sentence, and what the user would do next."""


def new_meta_training(task: str, preset: str, layers: Sequence[Mapping[str, Any]], given: Given) -> MetaTraining:
    """Returns the meta-training of a task: of an environment where the name is a Gymnasium id, else supervised."""
    if is_environment(task):
        return Reinforcement.new(task, preset, layers, given)
    _refuse_unknown(task)
    return Supervised.new(task, preset, layers, given)


def resumed_meta_training(settings: Mapping[str, Any], given: Given) -> MetaTraining:
    """Returns a run's own meta-training, with the few settings that may change: budget, threads, data folder and device."""
    if "stages" in settings:
        return Reinforcement.resumed(settings, given)
    return Supervised.resumed(settings, given)


def is_environment(task: str) -> bool:
    """Says whether a task's name is a Gymnasium id: it ends in a version, or is registered by the module that it names."""
    if re.search(r"-v\d+$", task):
        return True
    from gtn_sl.data import names_images

    if ":" not in task or names_images(task):
        return False
    import gymnasium as gym

    return task.rpartition(":")[2] in gym.registry  # names_images has imported the module, if it can be


def _refuse_unknown(task: str) -> None:
    """Raises where a name is no image task's; a Gymnasium id that lacks its version is recognised."""
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
