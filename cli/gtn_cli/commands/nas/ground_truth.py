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
    from gtn_core.seeding import Streams
    from gtn_sl.data import find_task
    from gtn_sl.nas.candidate import sample_seeing
    from gtn_sl.nas.final_training import FinalTraining
    from gtn_sl.nas.ground_truth import put_together, refuse_another_ground_truth, save_ground_truth
    from gtn_sl.nas.results import safe_name
    from gtn_sl.nas.spaces import find_space
    from gtn_sl.nas.trainings import Course, train_all

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    space, settings = find_space(space_name), resolve(FinalTraining, parse_assignments(assignments))
    candidates = sample_seeing(space, task, count, Streams(seed).numpy("ground-truth"))
    course, made_by = Course(space, task, settings, data_dir), options.given_command()
    path = out / f"{safe_name(space.name)}-{find_task(task).slug}.json"
    refuse_another_ground_truth(path, course, candidates, seeds)
    with kept(out), console.counting_bar(quiet=quiet or as_json) as bar:
        shown = bar.add_task(f"{space.name} on {task}", total=count * seeds)
        found = train_all(
            course, candidates, range(seeds), out, workers=workers, after_one=lambda job: bar.advance(shown)
        )
    truth = put_together(course, found)
    save_ground_truth(path, truth, made_by)
    accuracies = 100 * truth.accuracies()
    if as_json:
        echo_json({"file": str(path), "architectures": len(accuracies), "accuracies": accuracies.tolist()})
        return
    click.echo(
        f"{len(accuracies)} architectures, test accuracy {accuracies.min():.2f}% to {accuracies.max():.2f}%: {path}"
    )
