"""``gtn-cli nas rank``: scores of architectures by rankers."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.commands.nas.work_folder import kept
from gtn_cli.main import echo_json


@click.command("rank")
@choices.space
@choices.task
@choices.architectures
@choices.rankers
@choices.judgements
@click.option("--top", default=10, show_default=True, type=click.IntRange(min=1), help="Architectures to show.")
@options.data_dir
@choices.out("runs/nas/rank")
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
    quiet: bool,
    as_json: bool,
) -> None:
    """Score architectures by one or more rankers, best first.

    Each result is a JSON file in OUT/scores; one that is damaged is made again. An architecture that a ranker fails on is
    recorded with the reason and ranked last.

    \b
    Examples:
      gtn-cli nas rank --count 50 --ranker teacher@file=runs/mnist,steps=32
      gtn-cli nas rank --count 50 --ranker synflow --ranker real@steps=64 --seeds 3
      gtn-cli nas rank --architecture c3-sk.no-c1.a3.c3 --ranker my_package.rankers:my_ranker
    """
    from gtn_sl.data import load_task
    from gtn_sl.nas.rankers import Setting, find_ranker
    from gtn_sl.nas.scoring import rank
    from gtn_sl.nas.spaces import find_space

    console.start_logging(quiet=quiet or as_json)
    console.interrupt_on_sigterm()
    space = find_space(space_name)
    rankers = [find_ranker(name) for name in ranker_names]  # a wrong name fails here, before any work
    candidates = choices.chosen(space, encodings, count, seed)
    setting = Setting(space, load_task(task, data_dir), seed=seed)
    documents = []
    for ranker in rankers:
        with kept(out), console.counting_bar(quiet=quiet or as_json) as bar:
            shown = bar.add_task(ranker.name, total=len(candidates) * seeds)
            scores = rank(ranker, candidates, setting, range(seeds), out, functools.partial(bar.advance, shown))
        order = scores.order()
        finite = {text: value if math.isfinite(value) else None for text, value in scores.values.items()}
        documents.append({**vars(scores), "values": {text: finite[text] for text in order}})
        if as_json:
            continue
        rows = [
            {
                "rank": str(place),
                "architecture": text,
                "score": scores.failures.get(text, f"{scores.values[text]:.5g}"),
            }
            for place, text in enumerate(order[:top], start=1)
        ]
        failed = f", {len(scores.failures)} failed" if scores.failures else ""
        title = f"{ranker.name}: {len(order)} architectures{failed}, {scores.costs['cpu_seconds']:.3g} CPU-seconds each"
        console.print_table(rows, title)
    if as_json:
        echo_json(documents)
    elif not quiet:
        click.echo(f"results: {out}")
