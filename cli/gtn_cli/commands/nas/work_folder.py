"""The folder of work of a command of ``gtn-cli nas``: how it is made, and what an interrupt leaves there. Imports no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from gtn_cli import options
from gtn_cli.main import EXIT_INTERRUPTED
from gtn_core.errors import UsageError


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Ends an interrupted command with what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        command = options.given_command()
        click.echo(f"interrupted; what is done is kept in {folder}; go on with: {command}", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None


def make_folder(path: Path) -> Path:
    """Makes a folder, and those above it.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror}") from error
    return path
