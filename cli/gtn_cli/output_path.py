"""Types of the options that name what a command writes: refused at once where it cannot. Does not import torch.

Under a launcher of several processes only the first one writes, and a folder of another machine may be another one; there
the command itself finds out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from gtn_core.errors import UsageError
from gtn_core.folder import obstacle
from gtn_core.launcher import detected


class OutputFolder(click.Path):
    """A folder to write to, which need not exist."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Returns the path; raises UsageError if it is not a folder, or cannot be created or written to."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if alone() and (why := obstacle(path)):
            raise UsageError(f"cannot {'write to' if path.is_dir() else 'create'} the folder {path}: {why}")
        return path


class OutputFile(click.Path):
    """A file to write, whose folder need not exist.

    Args:
        suffix: The suffix that its name must have; ``None`` for any.
        dir_okay: Whether it may be an existing folder.
    """

    def __init__(self, suffix: str | None = None, *, dir_okay: bool = False) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)
        self.suffix = suffix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Returns the path; raises UsageError if the suffix is another, or the file's folder is none to write to."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.suffix is not None and path.suffix != self.suffix:
            option = param.opts[-1] if param else "the path"
            raise UsageError(f"{option} must name a {self.suffix} file, not {path}")
        if alone() and (why := obstacle(path.parent)):
            raise UsageError(f"cannot write {path}: {why}")
        return path


def alone() -> bool:
    """Returns whether no launcher has started other processes beside this one."""
    return detected(os.environ) == "single"
