"""The argument that names a teacher of images: a shipped name, a file or a run folder. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from gtn_cli import options
from gtn_cli.environment_file import environment_file, kind_of
from gtn_core.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gtn_sl.teacher_file import TeacherFile

F = TypeVar("F", bound=Callable[..., Any])


def complete_teacher(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the name of a shipped teacher, or a path."""
    from gtn_sl.shipped import shipped_teachers

    shipped = [name for name in shipped_teachers() if name.startswith(typed)]
    # Either names or a path, since the bash script shows nothing if a list has both.
    return [CompletionItem(name) for name in shipped] or [CompletionItem(typed, type="file")]


def complete_any(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a teacher's name, a shipped environment's id, or a path."""
    complete = (options.complete_environment, complete_teacher)
    named = [item for one in complete for item in one(ctx, parameter, typed) if item.type != "file"]
    return named or [CompletionItem(typed, type="file")]


def teacher_argument(command: F) -> F:
    """Adds the argument ``TEACHER``."""
    kind = click.Path(path_type=Path)
    return click.argument("teacher", metavar="TEACHER", type=kind, shell_complete=complete_teacher)(command)


def read_teacher(name: Path) -> TeacherFile:
    """Reads the teacher that an argument names.

    Raises:
        CheckpointError: The file holds a synthetic environment or is invalid.
        UnknownNameError: No teacher of that name ships with the package.
    """
    from gtn_sl.teacher_file import load_teacher

    if kind := kind_of(name):
        raise CheckpointError(
            f"{environment_file(name)} holds a {kind.replace('-', ' ')}, not a 'teacher'; train agents in it with"
            " gtn-cli train-agent --env, or evaluate it with gtn-cli transfer"
        )
    return load_teacher(name)


def data_dir_of_run(name: Path) -> Path | None:
    """Returns the data folder of a run if it still exists; ``None`` otherwise, and for anything but a run folder."""
    from gtn_core.run_folder import RunFolder

    run = RunFolder(name)
    stored = run.read_config().get("data_dir") if run.config.is_file() else None
    return Path(stored) if isinstance(stored, str) and Path(stored).is_dir() else None


def refuse_to_replace(teacher: Path, option: str, path: Path) -> None:
    """Checks that what is made from a teacher does not overwrite it.

    Args:
        teacher: The file that is read.
        option: The option that names ``path``.
        path: The file that will be written.

    Raises:
        UsageError: Both are the same file.
    """
    if path.exists() and path.samefile(teacher):
        raise UsageError(f"{option}: {path} is the teacher itself and would be overwritten; choose another path")
