"""``gtn-cli nas search``: searches for the best architecture by a ranker, within a budget."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept


@click.command("search")
@choices.space
@choices.task
@choices.ranker
@choices.search
@choices.budget
@choices.judgements
@options.seed()
@options.data_dir
@choices.out("runs/nas/search")
@options.output_mode
def command(
    space_name: str,
    task: str,
    ranker_name: str,
    search_name: str,
    limits: dict[str, Any],
    seeds: int,
    seed: int,
    data_dir: Path | None,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Search a space for the best architecture by a ranker, until a budget is spent.

    Judgements are kept in OUT/scores, and the search in OUT/SEARCH-SEED: search.json with the winners, the ledger and every
    judgement, metrics.jsonl, TensorBoard events and the anytime curve. Run again after an interruption, the same
    command gives the same result. At least one of --evaluations, --cpu-seconds, --steps and --images is required; the
    budget covers judging and preparation, and the earlier cost of a teacher is reported separately.

    \b
    Examples:
      gtn-cli nas search --ranker teacher@file=mnist-search,steps=32 --evaluations 200
      gtn-cli nas search --ranker real@steps=32 --search halving@candidates=27 --cpu-seconds 300
      gtn-cli nas search --space cells-small --ranker synflow --search random --evaluations 1000 --seed 1
    """
    from gtn_sl.nas import Budget, search_architectures
    from gtn_sl.nas.search import Evaluation
    from gtn_sl.nas.search.report import winners_table

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    with kept(out), console.counting_bar(quiet=quiet or as_json) as bar:
        shown = bar.add_task(search_name, total=1000)

        def show(evaluation: Evaluation, share: float) -> None:
            best = "" if evaluation.incumbent_value is None else f", best {evaluation.incumbent_value:.4g}"
            bar.update(shown, completed=min(1000, int(1000 * share)), description=f"{search_name}{best}")

        found = search_architectures(
            ranker_name,
            Budget(**limits),
            search=search_name,
            space=space_name,
            task=task,
            seeds=seeds,
            seed=seed,
            data_dir=data_dir,
            out=out,
            listener=show,
            command=options.given_command(),
        )
    if as_json:
        echo_json(found)
        return
    ledger = found["ledger"]
    spent = f"{ledger['evaluations']} judgements, {ledger['cpu_seconds']:.3g} CPU-seconds, {ledger['steps']:,} steps"
    console.print_table(list(winners_table(found, 5)), f"{found['search']} by {found['ranker']} on {task}: {spent}")
    if not quiet:
        if ledger["paid_before"] is None:
            click.echo("paid before, for the ranker's teacher: unknown, since its file does not record it")
        elif ledger["paid_before"]:
            click.echo(f"paid before, for the ranker's teacher: {ledger['paid_before']:.3g} CPU-seconds")
        folder = found["folder"]
        click.echo(f"report: {folder}; train the winners: gtn-cli nas train --from {shlex.quote(folder)}")
