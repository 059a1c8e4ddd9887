"""Options that several commands share, and the completion of their values. Does not import torch."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from gtn_cli.json_output import documents_alone
from gtn_sl.presets import PRESETS

F = TypeVar("F", bound=Callable[..., Any])


def complete_task(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a task's name."""
    from gtn_rl.presets import PRESETS as ENVIRONMENTS

    return [CompletionItem(name) for name in (*PRESETS["fast"], *ENVIRONMENTS["fast"]) if name.startswith(typed)]


def complete_images(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the name of an image task, or the path of a user's own images."""
    named = [CompletionItem(name) for name in PRESETS["fast"] if name.startswith(typed)]
    return named or [CompletionItem(typed, type="file")]


def complete_environment(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the id of a shipped environment, or a path."""
    from gtn_envs.shipped import shipped_ids

    shipped = [name for name in shipped_ids() if name.startswith(typed)]
    return [CompletionItem(name) for name in shipped] or [CompletionItem(typed, type="file")]


def complete_preset(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a preset's name."""
    return [CompletionItem(name) for name in PRESETS if name.startswith(typed)]


def data_dir(command: F) -> F:
    """Adds ``--data-dir``."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the image files.  [default: GTN_DATA_DIR, else the user's cache (downloaded if missing)]",
    )(command)


def use_data_dir(folder: Path | None) -> None:
    """Sets ``GTN_DATA_DIR`` to a given folder, since Gymnasium makes environments from their ids alone."""
    if folder is not None:
        os.environ["GTN_DATA_DIR"] = str(folder.absolute())


SEED = click.IntRange(min=0, max=2**63 - 1)
"""Range of seeds that every random number generator accepts."""

THREADS = click.IntRange(min=1, max=4096)


def seed(what: str = "Seed of all random numbers.") -> Callable[[F], F]:
    """Adds ``--seed``."""
    return click.option("--seed", default=0, show_default=True, type=SEED, help=what)


def inner_steps(command: F) -> F:
    """Adds ``--steps``, for what a teacher of images shows a learner."""
    return click.option(
        "--steps",
        type=click.IntRange(min=1),
        help="Inner steps. Beyond the teacher's T, fresh noise (curriculum none) continues without end, learned samples start"
        " over, and the last learning rate stays.  [default: T]",
    )(command)


LARGEST = 1e30
"""``gtn_core.config.LARGEST``, which is not imported here since that takes time."""


class Amount(click.FloatRange):
    """A number up to ``LARGEST``, greater than 0 or, if ``least`` is given, at least ``least``."""

    def __init__(self, least: float | None = None) -> None:
        super().__init__(min=least or 0, min_open=least is None)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parses a value; fails if it is out of range or NaN."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        if number > LARGEST:
            self.fail(f"{value} is above {LARGEST:g}.", param, ctx)
        return number


def device(default: str = "auto") -> Callable[[F], F]:
    """Adds ``--device``; ``default`` is the default shown in the help text."""
    text = f"Device to compute on.  [default: {default}]"
    return click.option("--device", default=None, metavar="auto|cpu|cuda", help=text)


def world(command: F) -> F:
    """Adds ``--world``."""
    text = (
        "How several processes communicate: torch (torchrun), horovod (horovodrun, mpirun) or single; auto detects the"
        " launcher (docs/scaling.md)."
    )
    return click.option("--world", "world_name", default="auto", metavar="auto|single|torch|horovod", help=text)(
        command
    )


def output_mode(command: F) -> F:
    """Adds ``--quiet`` and ``--json``; with ``--json``, any other output goes to standard error."""

    @functools.wraps(command)
    def told(*, as_json: bool, **others: Any) -> Any:
        with documents_alone() if as_json else contextlib.nullcontext():
            return command(as_json=as_json, **others)

    shown = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")(told)
    return cast(F, click.option("-q", "--quiet", is_flag=True, help="Print only the result.")(shown))


def given_command() -> str:
    """Returns the command line of the running command, with every argument given by the user and no defaults."""
    context = click.get_current_context()
    words = ["gtn-cli", *_names(context)]
    for parameter in context.command.params:
        if context.get_parameter_source(str(parameter.name)) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[str(parameter.name)]
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(parameter, click.Argument):
                words.append(str(one))
            elif isinstance(one, bool):
                words.append((parameter.opts if one else parameter.secondary_opts)[-1])
            else:
                words += [parameter.opts[-1], str(one)]
    return shlex.join(words)


def _names(context: click.Context) -> list[str]:
    """Returns the name of a command, preceded by those of its groups."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return names
