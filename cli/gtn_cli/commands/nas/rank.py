"""``gtn-cli nas rank``: scores architectures with rankers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.joined import joined
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept

if TYPE_CHECKING:
    from gtn_sl.nas.scoring import Scores


@click.command("rank")
@choices.space
@choices.task
@choices.architectures
@choices.rankers
@choices.judgements
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="Architectures to show.")
@options.data_dir
@choices.out("runs/nas/rank")
@options.world
@options.output_mode
def command(
    space_name: str,
    task: str,
    encodings: tuple[str, ...],
    count: int | None,
    seed: int,
    ranker_names: tuple[str, ...],
    seeds: int,
    top: int,
    data_dir: Path | None,
    out: Path,
    world_name: str,
    quiet: bool,
    as_json: bool,
) -> None:
    """Score architectures with one or more rankers, and list them best first.

    Name the architectures (--architecture), or draw some (--count).

    Each result is a JSON file in OUT/scores; a damaged one is made again. An architecture that a ranker fails on is
    recorded with the reason and ranked last.

    \b
    Examples:
      gtn-cli nas rank --count 50 --ranker teacher@file=mnist-search,steps=32
      gtn-cli nas rank --count 50 --ranker synflow --ranker real@steps=64 --seeds 3
      torchrun --nproc-per-node 2 --no-python gtn-cli nas rank --count 50 --ranker real@steps=64
      gtn-cli nas rank --architecture c3-sk.no-c1.a3.c3 --ranker my_package.rankers:my_ranker
    """
    from gtn_sl.nas import rank_architectures

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    with joined(world_name) as world:
        told = world.rank == 0
        with kept(out, told=told), console.counted(quiet=quiet or as_json or not told) as show:
            found = rank_architectures(
                ranker_names,
                encodings,
                space=space_name,
                task=task,
                count=count,
                seeds=seeds,
                seed=seed,
                data_dir=data_dir,
                out=out,
                listener=show,
                world=world,
            )
        if not told:
            return
    if as_json:
        echo_json([_document(scores) for scores in found])
        return
    for scores in found:
        rows = [
            {
                "rank": str(place),
                "architecture": text,
                "score": scores.failures.get(text, f"{scores.values[text]:.5g}"),
            }
            for place, text in enumerate(scores.order()[:top], start=1)
        ]
        failed = f", {len(scores.failures)} failed" if scores.failures else ""
        title = f"{scores.ranker}: {len(scores.values)} architectures{failed}, {scores.costs['cpu_seconds']:.3g} CPU-seconds each"
        console.print_table(rows, title)
    if not quiet:
        click.echo(f"results: {out}")


def _document(scores: Scores) -> dict[str, Any]:
    finite = {text: value if math.isfinite(value) else None for text, value in scores.values.items()}
    return {**vars(scores), "values": {text: finite[text] for text in scores.order()}}
