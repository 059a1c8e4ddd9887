"""``gtn-cli evaluate``: tests fresh learners of a teacher on the real test set, beside the controls."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.interrupt import interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFolder
from gtn_cli.report_folder import folder_beside
from gtn_cli.teacher_argument import data_dir_of_run, read_teacher, teacher_argument
from gtn_core.errors import UsageError
from gtn_core.folder import make_folder

if TYPE_CHECKING:
    from gtn_sl.data import TaskData
    from gtn_sl.judging import EvaluationPlan
    from gtn_sl.teacher_file import TeacherFile

log = logging.getLogger("gtn_cli")


@click.command("evaluate")
@teacher_argument
@click.option(
    "--learner",
    "learners",
    multiple=True,
    metavar="NAME[:WIDTHS]",
    help="Learner architecture; repeatable.  [default: the teacher's]",
)
@click.option(
    "-n", "--count", default=20, show_default=True, type=click.IntRange(min=1), help="Fresh learners per architecture."
)
@click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Compare with real data, a random subset and an untrained teacher.",
)
@click.option(
    "--control",
    "named",
    multiple=True,
    metavar="NAME",
    help="Control to use instead of those three: real, subset, semi-supervised or untrained; repeatable.",
)
@click.option(
    "--control-iterations",
    default=60,
    show_default=True,
    type=click.IntRange(min=0),
    help="Outer steps for meta-learning the real-data control's learning rates and momenta.",
)
@click.option(
    "--curve-images",
    default=1000,
    show_default=True,
    type=click.IntRange(min=0),
    help="Test images for the accuracy after each inner step; the final accuracy uses all.",
)
@options.seed()
@options.device()
@options.data_dir
@click.option(
    "--out",
    type=OutputFolder(),
    help="Folder for the report.  [default: report/ in the run, one named like the file, or for a shipped teacher"
    " runs/evaluate/NAME]",
)
@options.output_mode
def command(
    teacher: Path,
    learners: tuple[str, ...],
    count: int,
    controls: bool,
    named: tuple[str, ...],
    control_iterations: int,
    curve_images: int,
    seed: int,
    device: str | None,
    data_dir: Path | None,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train fresh learners on a teacher and test them, beside the controls.

    TEACHER is a run folder, a .safetensors file, or a shipped teacher's name. With several --learner, the table has a
    row for each.

    Each learner is trained on the teacher's batches alone and tested on the whole real test set. The controls train the same
    learners for as many steps on real data (with learning rates and momenta meta-learned on validation data, or the
    initial ones where those are better there), on a random real subset that takes as much storage as the teacher (unless
    that is all of the data), and on an untrained teacher. Another control, semi-supervised, is real data of which a tenth
    keeps its labels; the rest get soft labels from a classifier trained on that tenth.

    \b
    Examples:
      gtn-cli evaluate runs/digits
      gtn-cli evaluate digits -n 5
      gtn-cli evaluate runs/digits --control real --control semi-supervised
      gtn-cli evaluate runs/mnist --data-dir data --learner base_fc --learner base_fc_maxpool:32,64,128
    """
    from gtn_core.device import resolve_device
    from gtn_core.memory.allocation import reuse_pages
    from gtn_sl.judging import EvaluationPlan, judge, units_of_work, usual_controls
    from gtn_sl.learners import architecture
    from gtn_sl.reports.report import result_table, write_evaluation_report
    from gtn_sl.streams import STREAMS
    from gtn_sl.teacher_file import load_real_images

    if named and not controls:
        raise UsageError(f"--control {named[0]} cannot be combined with --no-controls")
    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    reuse_pages()
    file = read_teacher(teacher)
    names = tuple(dict.fromkeys(learners)) or (file.config.learner.architecture,)
    for name in names:  # an unknown or unsuitable learner fails here, before any work
        architecture(name).module(file.teacher.task.image_shape, file.teacher.task.classes)
    for name in named:
        STREAMS[name]
    place = resolve_device(device or "auto")
    data = load_real_images(file, data_dir or data_dir_of_run(teacher))
    folder = _report_folder(file.path, out)
    beside = tuple(dict.fromkeys(named)) or (usual_controls(file, data) if controls else ())
    plan = EvaluationPlan(names, count, seed, beside, control_iterations, curve_images, place)
    with _shown(units_of_work(plan), quiet=quiet or as_json) as advance:
        results = judge(file, data, plan, advance)
    facts = {**_facts(file, data, plan), "command": options.given_command()}
    if as_json:
        echo_json({**facts, "report": str(folder), "results": [result.to_json() for result in results]})
    else:
        steps, batch = file.teacher.steps, file.teacher.batch_size
        what = f"test accuracy on {len(data.test)} real images after {steps} steps of {batch} images"
        console.print_table(
            result_table(results), what if len(names) == 1 else f"{what} (%, {count} fresh learners each)"
        )
    write_evaluation_report(folder, results, data.task.title, facts)  # last, since the disk may be full by now
    if not (quiet or as_json):
        click.echo(f"report: {folder}")


@contextlib.contextmanager
def _shown(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Shows progress: a bar on a terminal, else a line for each stream and learner.

    Yields:
        A function to call after each unit of work, with what is being done.
    """
    with console.counting_bar(quiet=quiet or not console.err.is_terminal) as bar:
        task, shown = bar.add_task("", total=total), ""

        def advance(what: str) -> None:
            nonlocal shown
            bar.update(task, advance=1, description=what)
            if what != shown and not console.err.is_terminal:
                log.info("%s", what)
            shown = what

        yield advance


def _facts(file: TeacherFile, data: TaskData, plan: EvaluationPlan) -> dict[str, Any]:
    """Returns the facts that a reader of the results needs to know."""
    from gtn_sl.shipped import is_shipped

    return {
        "teacher": file.path.stem if is_shipped(file.path) else str(file.path),
        "task": data.task.name,
        "inner steps": file.teacher.steps,
        "batch size": file.teacher.batch_size,
        "teacher parameters": file.teacher.parameter_count(),
        "teacher bytes": file.path.stat().st_size,
        "test images": len(data.test),
        "curve images": min(plan.curve_images, len(data.test)),
        "labels": file.config.teacher.labels,
        "augmentation in meta-training": file.config.meta_loss.augmentation,
        "seed": plan.seed,
    }


def _report_folder(teacher: Path, out: Path | None) -> Path:
    """Creates and returns the folder of the report, by default one that belongs to the teacher.

    Raises:
        UsageError: The folder cannot be created or written to.
    """
    from gtn_core.whole_file import require_writable
    from gtn_sl.shipped import is_shipped

    usual = Path("runs") / "evaluate" / teacher.stem if is_shipped(teacher) else folder_beside(teacher)
    folder = make_folder(out or usual)
    require_writable(folder / "evaluation.md")
    return folder
