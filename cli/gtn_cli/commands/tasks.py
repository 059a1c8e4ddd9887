"""``gtn-cli tasks``: what can be taught, and its data."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.main import echo_json


@click.command("tasks")
@click.option(
    "--download",
    multiple=True,
    metavar="TASK",
    help="Get and check a task's files; repeatable.",
    shell_complete=options.complete_task,
)
@options.data_dir
@options.output_mode
def command(download: tuple[str, ...], data_dir: Path | None, quiet: bool, as_json: bool) -> None:
    """List the image tasks, and which environments can be taught; download and check the images.

    \b
    Examples:
      gtn-cli tasks
      gtn-cli tasks --download mnist --data-dir data
    """
    from gtn_sl.data import TASKS, load_task
    from gtn_sl.shipped import shipped_teachers

    wanted = [TASKS[name] for name in download]
    for task in wanted:
        data = load_task(task.name, data_dir)
        if not as_json:
            click.echo(
                f"{task.name}: {len(data.train)} training, {len(data.validation)} validation, {len(data.test)} test images"
            )
    rows = [
        {
            "task": name,
            "title": task.title,
            "image": "x".join(map(str, task.image_shape)),
            "classes": str(task.classes),
            "train": str(task.train_size - task.validation_size),
            "validation": str(task.validation_size),
            "test": str(task.test_size),
        }
        for name, task in TASKS.items()
    ]
    if as_json:
        echo_json([{**row, "source": TASKS[row["task"]].source, "licence": TASKS[row["task"]].licence} for row in rows])
    elif not wanted:
        console.print_table(rows)
        for name, task in TASKS.items():
            click.echo(f"{name}: {task.source}; {task.licence}")
        click.echo(
            f"\nshipped teachers of images: {', '.join(shipped_teachers()) or 'none'}; gtn-cli train-learner uses them"
        )
        click.echo(_environments())


def _environments() -> str:
    """Returns what can be taught beside images, and what has been."""
    from gtn_envs.document_file import SHIPPED
    from gtn_rl.presets import PRESETS

    known, shipped = ", ".join(PRESETS["fast"]), ", ".join(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))
    return (
        "synthetic environments: of any Gymnasium task with Box observations and Discrete or bounded Box actions, by its id or"
        f" package:id; with settings of their own: {known}; shipped: {shipped}"
    )
