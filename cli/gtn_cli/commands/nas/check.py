"""``gtn-cli nas check``: spot-checks a ground truth."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.kept_work import kept

EXIT_DISAGREE = 1


@click.command("check")
@choices.truth
@click.option(
    "-n",
    "--count",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of architectures to retrain.",
)
@options.seed("Seed of the draw of architectures.")
@click.option(
    "--training-seed",
    type=click.IntRange(min=0),
    help="Seed of the trainings; one that the ground truth used should give the same.  [default: one that it did not use]",
)
@choices.workers
@options.data_dir
@choices.out("runs/nas/check")
@options.output_mode
def command(
    truth: str,
    count: int,
    seed: int,
    training_seed: int | None,
    workers: int,
    data_dir: Path | None,
    out: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Retrain a few architectures of a ground truth, and report whether they lie within the noise between its seeds.

    The noise is the standard deviation between seeds over the 16 architectures with the nearest accuracies, widened for
    the uncertainty of the mean. An architecture agrees if it lies within three standard deviations of its mean.
    The exit code is 1 if any does not. Trainings are kept in OUT/trainings as soon as they finish, apart from the ground
    truth's own and from those of other versions of torch or of this package; those kept there by an earlier check are read
    instead of repeated. After a change of code within a version, use another --out.

    \b
    Examples:
      gtn-cli nas check --truth nb201-small-mnist
      gtn-cli nas check --truth nb201-small-mnist --count 6 --training-seed 0 --workers 2
    """
    from gtn_sl.nas.ground_truth import find_ground_truth
    from gtn_sl.nas.spot_check import check_course, check_table, compare_again, drawn_entries
    from gtn_sl.nas.trainings import train_all

    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    known = find_ground_truth(truth)
    known.refuse_other_images()
    candidates = drawn_entries(known, count, seed)
    again = known.by_seed().shape[1] if training_seed is None else training_seed
    course, read = check_course(known, data_dir), 0
    with kept(out), console.counting_bar(quiet=quiet or as_json) as bar:
        shown = bar.add_task(f"{known.space} on {known.task}", total=count)

        def after_one(job: object) -> None:
            nonlocal read
            read += job is None  # done earlier
            bar.advance(shown)

        found = train_all(course, candidates, [again], out, workers=workers, after_one=after_one)
    checks = compare_again(known, found)
    agreeing = sum(check.agrees for check in checks)
    if as_json:
        echo_json({"checks": [check.to_json() for check in checks], "read": read})
    else:
        console.print_table(check_table(checks), f"{truth}: {count} of {len(known.entries)} architectures, retrained")
        click.echo(f"{agreeing} of {count} lie within the noise between seeds")
        if read:
            click.echo(f"{read} of {count} trainings were read from {out}, where an earlier check left them")
    if agreeing < count:
        raise SystemExit(EXIT_DISAGREE)
