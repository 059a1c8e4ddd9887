"""``gtn-cli inspect``: what a teacher's or an environment's file says of itself, and what it looks like."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.environment_file import is_environment
from gtn_cli.main import echo_json
from gtn_core.errors import UsageError


@click.command("inspect")
@click.argument(
    "teacher",
    metavar="TEACHER-OR-RUN",
    type=click.Path(path_type=Path),
    shell_complete=options.complete_environment,
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the pictures.  [default: report/ of a run, else one named like the file]",
)
@options.output_mode
def command(teacher: Path, out: Path | None, quiet: bool, as_json: bool) -> None:
    """Show what a teacher is, and a picture of its batches.

    Of a synthetic environment: its spaces, the stages that made it and what they cost, and a picture of its episodes (of a
    shipped one with --out).

    \b
    Examples:
      gtn-cli inspect runs/digits
      gtn-cli inspect teacher.safetensors --json
      gtn-cli inspect GTN-CartPole-v0 --out pictures
    """
    from gtn_cli.inspect_environment import show_environment
    from gtn_core.tracking import flatten
    from gtn_sl.report import write_teacher_pictures
    from gtn_sl.teacher import load_teacher

    if is_environment(teacher):
        show_environment(teacher, out, quiet=quiet, as_json=as_json)
        return
    file = load_teacher(teacher)
    folder = out or (file.path.parent / "report" if teacher.is_dir() else file.path.with_suffix(""))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error
    write_teacher_pictures(folder, file.teacher)
    sizes = {name: list(tensor.shape) for name, tensor in file.teacher.state_dict().items()}
    facts = {
        "file": str(file.path),
        "bytes": file.path.stat().st_size,
        "parameters": file.teacher.parameter_count(),
        **{key: file.document[key] for key in ("task", "image_shape", "class_names", "version", "format")},
    }
    if as_json:
        document = {key: file.document[key] for key in ("config", "metrics")}
        echo_json({**facts, **document, "tensors": sizes, "pictures": str(folder)})
        return
    shown = {**facts, **{f"metrics.{k}": v for k, v in file.document["metrics"].items()}}
    console.print_table([{"": key, "value": str(value)} for key, value in shown.items()])
    if not quiet:
        settings = flatten(file.document["config"])
        console.print_table([{"setting": key, "value": str(value)} for key, value in settings.items()])
        console.print_table([{"tensor": name, "shape": str(tuple(shape))} for name, shape in sizes.items()])
    click.echo(f"pictures: {folder / 'batches.png'}, {folder / 'schedule.png'}")
