"""A group of commands that are imported when they are called. Does not import torch."""

from __future__ import annotations

import copy
import difflib
import functools
import importlib
import os
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from gtn_core.errors import UsageError
from gtn_core.launcher import detected, launched_size


class LazyGroup(click.Group):
    """A group that imports a command only when it is called, so that ``--help`` is fast.

    Args:
        table: Name -> (module that defines ``command``, one line for ``--help``).
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of all commands."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns the command of that name, or ``None`` if there is none.

        A command without ``--world`` refuses to run if a launcher has started several processes.
        """
        if cmd_name not in self.table:
            return None
        command = importlib.import_module(self.table[cmd_name][0]).command
        assert isinstance(command, click.Command)
        shared = any(parameter.name == "world_name" for parameter in command.params)
        return command if shared or isinstance(command, click.Group) else _alone(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolves the command that the arguments name; for an unknown one, the error suggests the nearest match."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.table, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes a command's name without importing any."""
        return [
            CompletionItem(name, help=text) for name, (_, text) in self.table.items() if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands and their one-line help without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])


def _alone(command: click.Command) -> click.Command:
    """Returns a command that refuses to do the same work in each of several processes."""
    callback = command.callback
    assert callback is not None

    @functools.wraps(callback)
    def run(*args: Any, **kwargs: Any) -> Any:
        launched = launched_size(detected(os.environ), os.environ) or 1
        if launched > 1:  # all of them say so: a launcher may end the first as soon as another has failed
            raise UsageError(
                f"this command runs in one process, and a launcher has started {launched}: start it without the"
                " launcher (commands that run on several have the option --world)"
            )
        return callback(*args, **kwargs)

    alone = copy.copy(command)
    alone.callback = run
    return alone
