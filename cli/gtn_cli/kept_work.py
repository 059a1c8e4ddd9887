"""Resumable work in a folder: what the user is told when a command ends early. Does not import torch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from gtn_cli import options
from gtn_cli.interrupt import EXIT_INTERRUPTED, work_begins
from gtn_core.errors import GTNError


@contextlib.contextmanager
def kept(folder: Path, *, told: bool = True) -> Iterator[None]:
    """Ends an interrupted command, or one that lost a process, with a message on what is kept and how to resume.

    Args:
        folder: Folder of the finished work.
        told: Whether this process reports an interrupt; of several processes, one does.

    Raises:
        SystemExit: The command was interrupted.
    """
    work_begins()
    try:
        yield
    except KeyboardInterrupt:
        if told:
            click.echo(f"interrupted; {_what_now(folder)}", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    except GTNError as error:
        if _is_lost_rank(error):
            error.args = (f"{error}; {_what_now(folder)}",)
        raise


def _what_now(folder: Path) -> str:
    return f"finished work is kept in {folder}; resume with: {options.given_command()}"


def _is_lost_rank(error: GTNError) -> bool:
    distributed = sys.modules.get(
        "gtn_core.distributed"
    )  # not imported here, since there is only one process if it was not imported before
    return distributed is not None and isinstance(error, distributed.LostRankError)
