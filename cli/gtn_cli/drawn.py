"""Pictures written by ``gtn-cli inspect``: their folder, and the handling of failures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from gtn_core.errors import GTNError
from gtn_core.folder import make_folder

T = TypeVar("T")


def drawn(out: Path | None, usual: Path | None, draw: Callable[[Path], T]) -> T | None:
    """Draws pictures into a folder; a failure is only reported, so that the command can show the rest.

    Args:
        out: Folder given by the user.
        usual: Default folder; ``None`` draws nothing.
        draw: Draws into an existing folder.

    Returns:
        The result of ``draw``; ``None`` if nothing was drawn.

    Raises:
        UsageError: The folder ``out`` cannot be created.
    """
    if out is not None:
        make_folder(out)
    folder = out or usual
    if folder is None:
        return None
    try:
        return draw(make_folder(folder))
    except (GTNError, OSError) as error:  # e.g. the folder is read-only, or the real task is not installed
        click.echo(f"no picture: {error}" + ("" if out else "; choose another folder with --out"), err=True)
        return None
