"""``gtn-cli nas report``: the tables and pictures of a folder of work, from what lies there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gtn_cli import console, options
from gtn_cli.main import echo_json
from gtn_core.errors import DataError, UsageError

if TYPE_CHECKING:
    from gtn_sl.nas.comparison import Comparison

ASKED = "asked.json"
"""What ``correlate`` was asked last: ground truth, seeds, command."""


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@options.output_mode
def command(folder: Path, quiet: bool, as_json: bool) -> None:
    """Write the tables and pictures of a folder of correlate, contest or search again, and show them.

    Several searches below one folder get their anytime curves in one picture.

    \b
    Examples:
      gtn-cli nas report runs/nas/correlate
      gtn-cli nas report runs/nas/contest
      gtn-cli nas report runs/nas/search
    """
    from gtn_sl.nas.comparison import short_table, to_json
    from gtn_sl.nas.contest_report import CONTEST, contest_table, read_contest, write_contest
    from gtn_sl.nas.search.report import plot_anytime, read_searches, winners_table

    console.start_logging(quiet=quiet or as_json)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    if (folder / ASKED).is_file():
        truth, seeds, made_by = _asked(folder / ASKED)
        comparison = write_correlations(folder, truth, seeds, made_by)
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


def write_correlations(folder: Path, truth_name: str, seeds: int, made_by: str) -> Comparison:
    """Compares every ranker whose scores a folder holds on a ground truth, and writes table, JSON and pictures there.

    Raises:
        UsageError: The folder holds scores of none.
    """
    from gtn_core.checkpoint import replacing
    from gtn_sl.nas.comparison import compare, distinct_names, write_comparison
    from gtn_sl.nas.comparison_plots import plot_correlations, plot_cost, plot_scatter
    from gtn_sl.nas.ground_truth import find_ground_truth
    from gtn_sl.nas.results import result_folders
    from gtn_sl.nas.scoring import FIELDS, SCORES, read_scores
    from gtn_sl.nas.step_curves import plot_steps, write_curves

    truth = find_ground_truth(truth_name)
    found = []
    for results in result_folders(folder / SCORES, FIELDS):
        identity = results.identity()
        if (identity.get("space"), identity.get("task")) == (truth.space, truth.task):
            found.append((identity, read_scores(results, list(truth.entries), range(seeds))))
    known = [(identity, scores) for identity, scores in found if scores is not None]
    names = distinct_names([identity for identity, _ in known])
    whole = [dataclasses.replace(scores, ranker=name) for name, (_, scores) in zip(names, known, strict=True)]
    if not whole:
        raise UsageError(f"{folder} holds no ranker's scores of all of {truth_name} with {seeds} seeds")
    comparison = compare(truth, whole, seeds)
    facts = {"ground truth": truth_name, "judgements a score": seeds, "command": made_by}
    write_comparison(folder, comparison, facts)
    for name, plot in (("correlations", plot_correlations), ("scores", plot_scatter), ("cost", plot_cost)):
        plot(folder / f"{name}.png", comparison)
    if not plot_steps(folder / "steps.png", comparison):
        (folder / "steps.png").unlink(missing_ok=True)
    write_curves(folder / "tensorboard", comparison)
    with replacing(folder / ASKED) as file:
        file.write(json.dumps({"truth": truth_name, "seeds": seeds, "command": made_by}).encode())
    return comparison


def refuse_another_truth(folder: Path, truth: str) -> None:
    """Raises UsageError where a folder holds the table of another ground truth, which would be lost."""
    if (folder / ASKED).is_file() and (other := _asked(folder / ASKED)[0]) != truth:
        raise UsageError(
            f"{folder} holds the correlations with {other}: give those with {truth} another folder (--out)"
        )


def _asked(path: Path) -> tuple[str, int, str]:
    try:
        asked = json.loads(path.read_text(encoding="utf-8"))
        return str(asked["truth"]), int(asked["seeds"]), str(asked["command"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}; run gtn-cli nas correlate again") from error
