"""Pictures beside what ``gtn-cli inspect`` prints: where they go, and what becomes of those that cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from gtn_core.errors import GTNError
from gtn_core.folder import make_folder

T = TypeVar("T")


def drawn(out: Path | None, usual: Path | None, draw: Callable[[Path], T]) -> T | None:
    """Draws pictures into a folder; where that fails, says so and goes on, since the rest is worth showing.

    Args:
        out: The folder that the user named.
        usual: Where pictures go otherwise; None for nowhere.
        draw: Draws into a folder that is there, and returns what ``drawn`` returns.

    Raises:
        UsageError: The folder that the user named cannot be made.
    """
    if out is not None:
        make_folder(out)
    folder = out or usual
    if folder is None:
        return None
    try:
        return draw(make_folder(folder))
    except (GTNError, OSError) as error:  # e.g. of a read-only folder, or its real task is not installed
        click.echo(f"no picture: {error}" + ("" if out else "; --out names another folder"), err=True)
        return None
