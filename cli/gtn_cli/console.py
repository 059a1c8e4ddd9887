"""Terminal output of commands: log lines, progress bars and tables."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from gtn_cli.interrupt import work_begins

err = Console(stderr=True)
_TERMINAL = sys.stdout is not None and sys.stdout.isatty()  # None if a supervisor has closed it
out = Console(width=None if _TERMINAL else 1000)  # wide enough that tables in a pipe do not wrap paths


def start_logging(*, quiet: bool) -> None:
    """Shows log lines on standard error: all of them, or only warnings if ``quiet``."""
    logging.raiseExceptions = False  # a full disk must not fill the screen with errors of the log file's handler
    handler = RichHandler(console=err, show_path=False, show_level=False, rich_tracebacks=False, markup=False)
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("torch").setLevel(logging.WARNING)  # torch sets this itself, unless its import is interrupted


def training_bar(*, quiet: bool) -> Progress:
    """Declares that work begins and returns a meta-training's progress bar: spent budget, figures, time left."""
    work_begins()
    return Progress(
        TextColumn("meta-training"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        disable=quiet,
    )


def counting_bar(*, quiet: bool) -> Progress:
    """Declares that work begins and returns a progress bar that counts units of work."""
    work_begins()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, disable=quiet, transient=True)


@contextlib.contextmanager
def counted(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Declares that work begins and shows how much of it is done, with a bar for each part.

    Yields:
        A function to call with the name of a part, how many of its units are done, and how many there are.
    """
    with counting_bar(quiet=quiet) as bar:
        parts: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in parts:
                parts[what] = bar.add_task(what, total=total)
            bar.update(parts[what], completed=done)

        yield show


def print_table(rows: Sequence[dict[str, str]], title: str | None = None) -> None:
    """Prints rows with equal keys as a table on standard output; the title is not wrapped to the table's width."""
    if title:
        out.print(escape(title), style="italic", highlight=False, soft_wrap=True)
    table = Table()
    for key in rows[0]:
        table.add_column(key, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row.values()))  # text in brackets must not be read as a style
    out.print(table)
