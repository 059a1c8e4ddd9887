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
    from gtn_core.config import parse_assignments, resolve, to_dict
    from gtn_sl.data import find_task
    from gtn_sl.nas.contest import Contest, hold_contest
    from gtn_sl.nas.contest_report import contest_table, refuse_another_contest, write_contest
    from gtn_sl.nas.final_training import FinalTraining
    from gtn_sl.nas.search import Budget
    from gtn_sl.nas.spaces import find_space

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    budget = Budget(**limits)
    training, given = resolve(FinalTraining, parse_assignments(assignments)), options.given_command()
    contest = Contest(find_space(space_name), task, ranker_names, search_names, budget, seeds, data_dir)
    question = {"space": contest.space.name, **find_task(task).identity()}
    refuse_another_contest(out, question)
    with kept(out), console.counting_bar(quiet=quiet or as_json) as bar:
        shown = bar.add_task("searches", total=None)

        def show(what: str, done: int, of: int) -> None:
            bar.update(shown, description=what, completed=done, total=of)

        entries = hold_contest(contest, training, out, training_seeds=trainings, workers=workers, progress=show)
    facts = {
        **question,
        "search": ", ".join(search_names),
        "budget": {key: value for key, value in to_dict(budget).items() if value is not None},
        "training": to_dict(training),
        "trainings of each": trainings,
        "command": given,
    }
    document = write_contest(out, entries, facts)
    if as_json:
        echo_json(document)
        return
    console.print_table(contest_table(entries), f"{contest.space.name} on {task}, {seeds} searches each")
    if not quiet:
        click.echo(f"report: {out / 'contest.md'}\npicture: {out / 'contest.png'}")
