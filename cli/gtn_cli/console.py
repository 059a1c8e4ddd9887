"""What the user sees while a command works: log lines, progress bars, tables."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from gtn_cli.interrupt import work_begins

err = Console(stderr=True)
_TERMINAL = sys.stdout is not None and sys.stdout.isatty()  # it is None where a supervisor has closed it
out = Console(width=None if _TERMINAL else 1000)  # a table takes what it needs, and breaks no path in a pipe


def start_logging(*, quiet: bool) -> None:
    """Shows log lines on standard error, all of them or only warnings."""
    logging.raiseExceptions = False  # a full disk must not fill the screen with the log file's own troubles
    handler = RichHandler(console=err, show_path=False, show_level=False, rich_tracebacks=False, markup=False)
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("torch").setLevel(logging.WARNING)  # it does so itself, unless its import is interrupted


def training_bar(*, quiet: bool) -> Progress:
    """Returns the progress bar of a meta-training, which begins: share of the budget, remaining time, figures."""
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
    """Returns a progress bar over units of work, which begins."""
    work_begins()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, disable=quiet, transient=True)


def print_table(rows: Sequence[dict[str, str]], title: str | None = None) -> None:
    """Prints rows of equal keys as a table on standard output, under a title that is not broken to the table's width."""
    if title:
        out.print(escape(title), style="italic", highlight=False, soft_wrap=True)
    table = Table()
    for key in rows[0]:
        table.add_column(key, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row.values()))  # a name in brackets is no style
    out.print(table)
