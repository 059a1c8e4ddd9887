"""``gtn-cli export-dataset``: writes a teacher's batches as a file or a folder of images."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFile
from gtn_cli.teacher_argument import read_teacher, refuse_to_replace, teacher_argument

FORMATS = ("stream", "safetensors", "npz", "png")  # repeated here to avoid importing torch


@click.command("export-dataset")
@teacher_argument
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    help="Output format.  [default: npz if --out ends in .npz, else stream]",
)
@click.option("--out", required=True, type=OutputFile(dir_okay=True), help="File to write, or for png a folder.")
@options.seed("Seed of the exported noise, labels or order, if the curriculum draws them anew for each learner.")
@options.inner_steps
@options.output_mode
def command(
    teacher: Path, format: str | None, out: Path, seed: int, steps: int | None, quiet: bool, as_json: bool
) -> None:
    """Write a teacher's batches as a data set.

    `stream` is an environment: each image is an observation, its class the action; train agents in it with gtn-cli
    train-agent --env. `safetensors` and `npz` hold the arrays images, uint8 (N, H, W, C), and labels, float32 (N,
    classes), rounded to float16's precision, in the order in which a learner sees them. `png` is one folder per class,
    with labels.csv beside them.

    \b
    Examples:
      gtn-cli export-dataset digits --out digits.safetensors
      gtn-cli export-dataset digits --format safetensors --out arrays.safetensors
      gtn-cli export-dataset runs/digits --out digits.npz
      gtn-cli export-dataset teacher.safetensors --format png --out images
    """
    from gtn_sl.export import export, require_exportable, to_stream

    console.start_logging(quiet=quiet or as_json)
    file = read_teacher(teacher)
    refuse_to_replace(file.path, "--out", out)
    written = format or ("npz" if out.suffix == ".npz" else "stream")
    require_exportable(written, out)
    stream = to_stream(file, seed, steps)
    export(stream, written, out)
    facts = {
        "file": str(out),
        "format": written,
        "task": stream.task,
        "images": len(stream),
        "steps": stream.steps,
        "batch_size": stream.batch_size,
        "seed": seed,
    }
    if as_json:
        echo_json(facts)
    else:
        click.echo(f"{out}: {len(stream)} images of {stream.task} in {stream.steps} batches of {stream.batch_size}")
        if written == "stream" and not quiet:
            if format is None:
                click.echo("written as an environment; for the images and labels alone: --format safetensors")
            click.echo(f"next: gtn-cli train-agent --env {shlex.quote(str(out))} --config tuned")
