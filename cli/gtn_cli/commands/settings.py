"""``gtn-cli settings``: what a meta-training can be told, with the values that a task and a preset start from."""

from __future__ import annotations

import shutil
import textwrap

import click

from gtn_cli import console, options
from gtn_cli.given import Given
from gtn_cli.main import echo_json
from gtn_cli.meta_training import new_meta_training
from gtn_core.errors import UsageError


@click.command("settings")
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option(
    "--task",
    default="digits",
    show_default=True,
    help="As of meta-train.",
    shell_complete=options.complete_task,
)
@click.option(
    "--preset", default="fast", show_default=True, help="As of meta-train.", shell_complete=options.complete_preset
)
@click.option("--kind", type=click.Choice(["mdp", "bandit", "reward"]), help="Of an environment.  [default: mdp]")
@options.output_mode
def command(words: tuple[str, ...], task: str, preset: str, kind: str | None, quiet: bool, as_json: bool) -> None:
    """List the settings of a meta-training: name, value in a preset, and what it is.

    With WORDs, those that have them all in their name or text. `meta-train --set NAME=VALUE` or a file for `meta-train --config`
    changes one; a list, such as an environment's stages, is given as a whole.

    \b
    Examples:
      gtn-cli settings
      gtn-cli settings outer --task mnist
      gtn-cli settings learning rate --task CartPole-v1 --kind bandit
      gtn-cli settings --task mnist --preset paper --json
    """
    from gtn_core.config import described_values

    console.start_logging(quiet=quiet or as_json)
    config = new_meta_training(task, preset, [{"task": task, "preset": preset}], Given(kind=kind)).config
    found = [
        setting
        for setting in described_values(config)
        if all(word.lower() in f"{setting.name} {setting.text}".lower() for word in words)
    ]
    if as_json:
        echo_json({setting.name: {"value": setting.default, "what": setting.text} for setting in found})
        return
    if not found:
        raise UsageError(f"no setting of {task} has {' and '.join(map(repr, words))} in its name or text")
    width = min(120, shutil.get_terminal_size().columns)
    for setting in found:
        click.echo(setting.name if setting.default is None else f"{setting.name}={setting.default}")
        text = setting.text.replace("``", "")
        click.echo(textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    "))
