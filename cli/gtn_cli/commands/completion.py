"""``gtn-cli completion``: prints the script with which a shell completes commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gtn_cli.main import cli


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the shell completion script.

    \b
    Examples:
      gtn-cli completion bash >> ~/.bashrc
      gtn-cli completion zsh  >> ~/.zshrc
      gtn-cli completion fish > ~/.config/fish/completions/gtn-cli.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "gtn-cli", "_GTN_CLI_COMPLETE").source())
