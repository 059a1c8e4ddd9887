"""``gtn-cli nas ground-truth``: trains many architectures, against which rankers are then measured."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept


@click.command("ground-truth")
@choices.space
@choices.task
@click.option("-n", "--count", default=64, show_default=True, type=click.IntRange(min=6), help="Architectures.")
@options.seed("Which architectures are drawn.")
@choices.training
@options.data_dir
@choices.out("runs/nas/ground-truth")
@options.output_mode
def command(
    space_name: str,
    task: str,
    count: int,
    seed: int,
    seeds: int,
    workers: int,
    assignments: tuple[str, ...],
    data_dir: Path | None,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Draw architectures, train each with several seeds, and write their accuracies to one file.

    Architectures whose logits do not depend on the image are not drawn. Every training is kept in OUT/trainings as soon
    as it finishes, so that the command can be stopped at any time and run again. The file is OUT/SPACE-TASK.json;
    correlate --truth reads it. A larger --count or more --seeds add to a file that is already there.

    \b
    Examples:
      gtn-cli nas ground-truth --space nb201-small --task mnist --count 64 --seeds 3 --workers 2
      gtn-cli nas ground-truth --task digits --count 8 --seeds 2 --set epochs=10 --set batch_size=50
    """
    from gtn_core.config import parse_assignments, resolve
    from gtn_sl.nas import FinalTraining, find_ground_truth, make_ground_truth

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    training = resolve(FinalTraining, parse_assignments(assignments))
    with kept(out), console.counted(quiet=quiet or as_json) as show:
        path = make_ground_truth(
            space=space_name,
            task=task,
            count=count,
            settings=training,
            seeds=seeds,
            seed=seed,
            workers=workers,
            data_dir=data_dir,
            out=out,
            listener=show,
            command=options.given_command(),
        )
    accuracies = 100 * find_ground_truth(path).accuracies()
    if as_json:
        echo_json({"file": str(path), "architectures": len(accuracies), "accuracies": accuracies.tolist()})
        return
    click.echo(
        f"{len(accuracies)} architectures, test accuracy {accuracies.min():.2f}% to {accuracies.max():.2f}%: {path}"
    )
