"""``gtn-cli compact``: stores a teacher at half the size, if it teaches as well."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFile
from gtn_cli.teacher_argument import (
    data_dir_of_run,
    read_teacher,
    refuse_to_replace,
    teacher_argument,
)
from gtn_core.whole_file import require_writable


@click.command("compact")
@teacher_argument
@click.option("--out", required=True, type=OutputFile(".safetensors"), help="File to write.")
@click.option(
    "-n", "--count", default=20, show_default=True, type=click.IntRange(min=1), help="Fresh learners per architecture."
)
@click.option(
    "--tolerance",
    default=0.1,
    show_default=True,
    type=options.Amount(least=0),
    metavar="POINTS",
    help="Largest accepted loss of validation accuracy, in percentage points.",
)
@options.data_dir
@options.output_mode
def command(
    teacher: Path, out: Path, count: int, tolerance: float, data_dir: Path | None, quiet: bool, as_json: bool
) -> None:
    """Store a teacher in float16, at half the size, if learners do not lose accuracy.

    The same fresh learners are trained on the teacher before and after conversion, and tested on validation data. If
    accuracy drops by more than the tolerance, nothing is written. The shipped teachers are stored this way, with
    --tolerance 0.3; every command reads such a file.

    \b
    Examples:
      gtn-cli compact runs/digits --out digits.safetensors
      gtn-cli compact runs/mnist --data-dir data --tolerance 0.05 --out mnist.safetensors
    """
    from dataclasses import asdict

    from gtn_core.memory.allocation import reuse_pages
    from gtn_sl.compact import compact_teacher, units_of_work
    from gtn_sl.teacher_file import load_real_images

    console.start_logging(quiet=quiet or as_json)
    reuse_pages()
    file = read_teacher(teacher)
    require_writable(out)
    refuse_to_replace(file.path, "--out", out)
    data = load_real_images(file, data_dir or data_dir_of_run(teacher))
    with console.counting_bar(quiet=quiet or as_json) as bar:
        task = bar.add_task("validating", total=units_of_work(file, count))
        done = compact_teacher(
            file, out, data, count=count, tolerance=tolerance / 100, after_learner=lambda: bar.update(task, advance=1)
        )
    if as_json:
        echo_json({"file": str(out), **asdict(done)})
        return
    click.echo(
        f"{out}: {done.bytes_after:,} bytes ({done.bytes_before:,} before); validation accuracy {100 * done.before:.2f}% before,"
        f" {100 * done.after:.2f}% after, difference {100 * (done.after - done.before):+.2f} ± {100 * done.standard_error:.2f}"
        f" (mean and standard error over {done.learners} fresh learners)"
    )
