"""``gtn-cli nas report``: rewrites the tables and pictures of a work folder from its results."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json
from gtn_core.errors import UsageError


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@options.output_mode
def command(folder: Path, quiet: bool, as_json: bool) -> None:
    """Rewrite the tables and pictures of a folder of correlate, contest or search, and show them.

    The anytime curves of all searches below the folder are drawn in one picture.

    \b
    Examples:
      gtn-cli nas report runs/nas/correlate
      gtn-cli nas report runs/nas/contest
      gtn-cli nas report runs/nas/search
    """
    from gtn_sl.nas.comparison import short_table, to_json
    from gtn_sl.nas.comparison_folder import read_asked, write_correlations
    from gtn_sl.nas.contest_report import CONTEST, contest_table, read_contest, write_contest
    from gtn_sl.nas.search.report import plot_anytime, read_searches, winners_table

    console.start_logging(quiet=quiet or as_json)
    if not folder.is_dir():
        raise UsageError(f"folder {folder} does not exist")
    if (asked := read_asked(folder)) is not None:
        comparison = write_correlations(folder, asked)
        if as_json:
            echo_json(to_json(comparison))
        else:
            console.print_table(
                short_table(comparison), f"rankers of {comparison.truth.space} on {comparison.truth.task}"
            )
        return
    if (folder / CONTEST).is_file():
        entries, facts = read_contest(folder)
        document = write_contest(folder, entries, facts)
        if as_json:
            echo_json(document)
        else:
            console.print_table(contest_table(entries), f"{facts['space']} on {facts['task']}")
        return
    searches = read_searches(folder)
    if not searches:
        raise UsageError(f"{folder} holds no result of gtn-cli nas correlate, contest or search")
    plot_anytime(folder / "anytime.png", searches)
    if as_json:
        echo_json(searches)
        return
    for name, found in searches.items():
        if rows := winners_table(found, 5):
            console.print_table(rows, f"{name}: {found['search']} by {found['ranker']}")
    if not quiet:
        click.echo(f"picture: {folder / 'anytime.png'}")
