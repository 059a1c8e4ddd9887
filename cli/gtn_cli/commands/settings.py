"""``gtn-cli settings``: lists the settings of a meta-training, with their values for a task and a preset."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from gtn_cli import console, options
from gtn_cli.given import Given
from gtn_cli.json_output import echo_json
from gtn_cli.meta_training import new_meta_training
from gtn_core.errors import UsageError

if TYPE_CHECKING:
    from gtn_core.config import Described


@click.command("settings")
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option(
    "--task",
    default="digits",
    show_default=True,
    help="As for meta-train.",
    shell_complete=options.complete_task,
)
@click.option(
    "--preset", default="fast", show_default=True, help="As for meta-train.", shell_complete=options.complete_preset
)
@click.option("--kind", type=click.Choice(["mdp", "bandit", "reward"]), help="Kind of environment.  [default: mdp]")
@options.output_mode
def command(words: tuple[str, ...], task: str, preset: str, kind: str | None, quiet: bool, as_json: bool) -> None:
    """List the settings of a meta-training: name, value in a preset, and description.

    With WORDs, only those whose name, value or text contains all of them. Change a setting with `meta-train --set
    NAME=VALUE` or a file for `meta-train --config`. A list, such as an environment's stages, is given as a whole; the
    settings of an entry of stages[] are shown with their defaults.

    \b
    Examples:
      gtn-cli settings
      gtn-cli settings outer --task mnist
      gtn-cli settings learning rate --task CartPole-v1 --kind bandit
      gtn-cli settings --task mnist --preset paper --json
    """
    from gtn_core.config import described_values

    console.start_logging(quiet=quiet or as_json)
    config = new_meta_training(task, preset, [], Given(kind=kind)).config
    found = [
        setting
        for setting in described_values(config)
        if all(word.lower() in f"{setting.name} {setting.value} {setting.text}".lower() for word in words)
    ]
    if not found:
        raise UsageError(f"no setting of {task} has {' and '.join(map(repr, words))} in its name, value or text")
    if as_json:
        echo_json({each.name: {_shows(each): each.value, "what": each.text} for each in found})
        return
    width = min(120, shutil.get_terminal_size().columns)
    for setting in found:
        mark = "  (default)" if _shows(setting) == "default" else ""
        click.echo(setting.name if setting.value is None else f"{setting.name}={setting.value}{mark}")
        text = setting.text.replace("``", "")
        click.echo(textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    "))


def _shows(setting: Described) -> str:
    """Returns whether a setting is shown with its "value" or, since entries of a list may differ, its "default"."""
    return "default" if "[]." in setting.name else "value"
