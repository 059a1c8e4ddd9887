"""``gtn-cli nas correlate``: measures how well rankers order architectures whose accuracy is known."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.joined import joined
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept


@click.command("correlate")
@choices.truth
@choices.rankers
@choices.judgements
@options.seed()
@options.data_dir
@choices.out("runs/nas/correlate")
@options.world
@options.output_mode
def command(
    truth: str,
    ranker_names: tuple[str, ...],
    seeds: int,
    seed: int,
    data_dir: Path | None,
    out: Path,
    world_name: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Let rankers order architectures whose accuracy is known, and report how well they do.

    The table has Spearman's and Kendall's correlation on all architectures and on the half with the higher accuracy, each with
    its 95% bootstrap interval; Spearman's given the parameter count; CPU-seconds per architecture, without and with the
    share of one-time costs; and the ceiling set by noise between the seeds of the ground truth. It includes every
    ranker in OUT, also those of earlier calls. Rankers read training and validation data only.

    \b
    Examples:
      gtn-cli nas correlate --truth nb201-small-mnist --ranker teacher@file=mnist-search,steps=32 --ranker real@steps=32
      gtn-cli nas correlate --truth nb201-small-mnist --ranker parameters --ranker synflow --ranker naswot --seeds 3
      gtn-cli nas correlate --truth truth.json --ranker my_package.rankers:my_ranker
      torchrun --nproc-per-node 2 --no-python gtn-cli nas correlate --truth nb201-small-mnist --ranker real@steps=32
    """
    from gtn_sl.nas import correlate_rankers
    from gtn_sl.nas.comparison import short_table, to_json

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    given = options.given_command()
    with joined(world_name) as world:
        told = world.rank == 0
        with kept(out, told=told), console.counted(quiet=quiet or as_json or not told) as show:
            comparison = correlate_rankers(
                ranker_names,
                truth=truth,
                seeds=seeds,
                seed=seed,
                data_dir=data_dir,
                out=out,
                listener=show,
                command=given,
                world=world,
            )
        if not told:
            return
    if as_json:
        echo_json(to_json(comparison))
        return
    known = comparison.truth
    title = f"{len(known.entries)} architectures of {known.space} on {known.task}: Spearman with test accuracy"
    console.print_table(short_table(comparison), title)
    if not quiet:
        click.echo(f"report: {out}")
