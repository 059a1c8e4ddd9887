"""``gtn-cli inspect``: shows what the file of a teacher or an environment contains, and draws it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.drawn import drawn
from gtn_cli.environment_file import kind_of
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFolder
from gtn_cli.report_folder import folder_beside
from gtn_cli.teacher_argument import complete_any

if TYPE_CHECKING:
    from gtn_sl.teacher_file import TeacherFile


@click.command("inspect")
@click.argument(
    "teacher",
    metavar="TEACHER-OR-RUN",
    type=click.Path(path_type=Path),
    shell_complete=complete_any,
)
@click.option(
    "--out",
    type=OutputFolder(),
    help="Folder for the pictures.  [default: report/ of a run, else one named like the file]",
)
@options.output_mode
def command(teacher: Path, out: Path | None, quiet: bool, as_json: bool) -> None:
    """Show what a teacher is, how it was made and at what cost, and a picture of its batches.

    For a synthetic environment: its spaces, the stages that made it and their cost, and a picture of its episodes. For
    a data stream: its images and their order, how they were made, and a picture of them. For shipped teachers and
    environments, pictures are drawn only with --out.

    \b
    Examples:
      gtn-cli inspect runs/digits
      gtn-cli inspect digits --out pictures
      gtn-cli inspect teacher.safetensors --json
      gtn-cli inspect GTN-CartPole-v0 --out pictures
    """
    from gtn_cli.inspect_environment import show_environment
    from gtn_cli.inspect_stream import show_stream
    from gtn_core.tracking import flatten
    from gtn_envs.document import ENVIRONMENT, STREAM
    from gtn_sl.shipped import is_shipped
    from gtn_sl.teacher_file import load_teacher

    if kind := kind_of(teacher):
        show = {ENVIRONMENT: show_environment, STREAM: show_stream}[kind]
        show(teacher, out, quiet=quiet, as_json=as_json)
        return
    file = load_teacher(teacher)
    usual = None if is_shipped(file.path) else folder_beside(file.path)
    folder = drawn(out, usual, functools.partial(_draw, file))
    sizes = {name: list(tensor.shape) for name, tensor in file.teacher.state_dict().items()}
    facts = {
        "file": str(file.path),
        "bytes": file.path.stat().st_size,
        "parameters": file.teacher.parameter_count(),
        **{key: file.document[key] for key in ("task", "image_shape", "class_names", "version", "format")},
    }
    told = {key: file.document[key] for key in ("provenance", "storage", "metrics") if file.document.get(key)}
    if as_json:
        echo_json(
            {**facts, **told, "config": file.document["config"], "tensors": sizes, "pictures": folder and str(folder)}
        )
        return
    console.print_table([{"": key, "value": _text(value)} for key, value in {**facts, **flatten(told)}.items()])
    if not quiet:
        settings = flatten(file.document["config"])
        console.print_table([{"setting": key, "value": str(value)} for key, value in settings.items()])
        console.print_table([{"tensor": name, "shape": str(tuple(shape))} for name, shape in sizes.items()])
    if folder and not quiet:
        click.echo(f"pictures: {folder / 'batches.png'}, {folder / 'schedule.png'}")


def _draw(file: TeacherFile, folder: Path) -> Path:
    from gtn_sl.reports.report import write_teacher_pictures

    write_teacher_pictures(folder, file.teacher)
    return folder


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
