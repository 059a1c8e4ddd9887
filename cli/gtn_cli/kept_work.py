"""Work that a command keeps in a folder and goes on with: what the user is told where it ends early. Imports no torch."""

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
    """Ends a command that was interrupted, or that lost a process, with what is kept and how to go on.

    Args:
        folder: Where what is done is.
        told: Whether this process tells of an interrupt, which of several one does.
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
    return f"what is done is kept in {folder}; go on with: {options.given_command()}"


def _is_lost_rank(error: GTNError) -> bool:
    distributed = sys.modules.get(
        "gtn_core.distributed"
    )  # not imported for this: where it was not, there is one process
    return distributed is not None and isinstance(error, distributed.LostRankError)
