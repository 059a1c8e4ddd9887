"""The folder of work of a command of ``gtn-cli nas``: what an interrupt leaves there. Imports no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from gtn_cli import options
from gtn_cli.main import EXIT_INTERRUPTED


@contextlib.contextmanager
def kept(folder: Path, *, told: bool = True) -> Iterator[None]:
    """Ends an interrupted command with what is kept and how to go on, which of several processes one tells."""
    try:
        yield
    except KeyboardInterrupt:
        command = options.given_command()
        if told:
            click.echo(f"interrupted; what is done is kept in {folder}; go on with: {command}", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
