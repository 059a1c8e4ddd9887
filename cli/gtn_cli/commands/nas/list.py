"""``gtn-cli nas list``: lists search spaces, rankers and searches with their settings."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.json_output import echo_json
from gtn_core.errors import unknown_name


def _complete(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    names = (*choices.SPACES, *choices.RANKERS, *choices.SEARCHES)
    return [CompletionItem(name) for name in names if name.startswith(typed)]


@click.command("list")
@click.argument("name", required=False, shell_complete=_complete)
@options.output_mode
def command(name: str | None, quiet: bool, as_json: bool) -> None:
    """List the search spaces, rankers and searches, or the settings of one.

    Settings follow the name: real@steps=64,lr=0.1.

    \b
    Examples:
      gtn-cli nas list
      gtn-cli nas list real
      gtn-cli nas list nb201-small --json
    """
    from gtn_core.config import describe
    from gtn_sl.nas.rankers import RANKERS
    from gtn_sl.nas.search import SEARCHES
    from gtn_sl.nas.spaces import SPACES
    from gtn_sl.nas.specification import summary

    console.start_logging(quiet=quiet or as_json)
    kinds: dict[str, dict[str, Any]] = {registry.kind: dict(registry) for registry in (SPACES, RANKERS, SEARCHES)}
    found = {kind: classes for kind, classes in kinds.items() if name is None or name in classes}
    if not found:
        raise unknown_name("space, ranker or search", str(name), [known for some in kinds.values() for known in some])
    if as_json:
        echo_json(
            {
                kind: {
                    known: {
                        "what": summary(cls),
                        "settings": {
                            each.name: {"name": each.name, "default": each.value, "text": each.text}
                            for each in describe(cls)
                        },
                    }
                    for known, cls in classes.items()
                    if name in (None, known)
                }
                for kind, classes in found.items()
            }
        )
        return
    for kind, classes in found.items():
        if name is None:
            rows = [
                {
                    kind: known,
                    "what it does": _plain(summary(cls)),
                    "settings": ", ".join(each.name for each in describe(cls)),
                }
                for known, cls in classes.items()
            ]
            console.print_table(rows)
            continue
        click.echo(f"{kind} {name}: {_plain(summary(classes[name]))}")
        settings = [
            {"setting": each.name, "default": each.value or "", "what": _plain(each.text)}
            for each in describe(classes[name])
        ]
        if settings:
            console.print_table(settings)


def _plain(text: str) -> str:
    return text.replace("``", "")
