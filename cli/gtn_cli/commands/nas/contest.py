"""``gtn-cli nas contest``: compares rankers by what their winners reach when they search at equal cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept


@click.command("contest")
@choices.space
@choices.task
@choices.rankers
@choices.searches
@choices.budget
@choices.seeds("Searches per ranker.", 3)
@click.option(
    "--trainings",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Long trainings per architecture found.",
)
@choices.final_training
@choices.workers
@options.data_dir
@choices.out("runs/nas/contest")
@options.output_mode
def command(
    space_name: str,
    task: str,
    ranker_names: tuple[str, ...],
    search_names: tuple[str, ...],
    limits: dict[str, Any],
    seeds: int,
    trainings: int,
    assignments: tuple[str, ...],
    workers: int,
    data_dir: Path | None,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Let rankers search at equal cost, and train what they find on real data.

    Each ranker searches several times with the same budget, with each --search; at least one of --evaluations,
    --cpu-seconds, --steps and --images is required. Preparation counts; the earlier cost of a teacher is reported
    separately. The best architecture of each search is trained as by gtn-cli nas train, and so is one drawn at random,
    the control that costs nothing. OUT gets contest.md, contest.json and contest.png; every finished search and
    training is kept.

    \b
    Examples:
      gtn-cli nas contest --task mnist --ranker teacher@file=mnist-search,steps=32 --ranker supernet --cpu-seconds 60 --workers 2
      gtn-cli nas contest --task digits --ranker synflow --search random --search evolution --evaluations 30
    """
    from gtn_core.config import parse_assignments, resolve
    from gtn_sl.nas import Budget, FinalTraining, contest_rankers
    from gtn_sl.nas.contest_report import contest_table, entries_of

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    training = resolve(FinalTraining, parse_assignments(assignments))
    with kept(out), console.counted(quiet=quiet or as_json) as show:
        document = contest_rankers(
            ranker_names,
            Budget(**limits),
            searches=search_names,
            space=space_name,
            task=task,
            seeds=seeds,
            trainings=trainings,
            settings=training,
            workers=workers,
            data_dir=data_dir,
            out=out,
            listener=show,
            command=options.given_command(),
        )
    if as_json:
        echo_json(document)
        return
    console.print_table(contest_table(entries_of(document)), f"{document['space']} on {task}, {seeds} searches each")
    if not quiet:
        click.echo(f"report: {out / 'contest.md'}\npicture: {out / 'contest.png'}")
