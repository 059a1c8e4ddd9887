"""``gtn-cli tasks``: lists what can be taught, and downloads its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json

if TYPE_CHECKING:
    from gtn_sl.data import TaskData

OWN_IMAGES = (
    "an .npz file with train_images, train_labels, test_images and test_labels, or module:name (docs/own-images.md)"
)
ENVIRONMENTS = (
    "of any Gymnasium task with Box observations, Discrete or bounded Box actions and a time limit, by its id or package:id; with"
    " settings of their own:"
)

TOLD = ("title", "source", "licence")
"""Facts about an image task that --json has in addition to the table's columns."""


@click.command("tasks")
@click.option(
    "--download",
    multiple=True,
    metavar="TASK",
    help="Download and check a task's files; repeatable.",
    shell_complete=options.complete_images,
)
@options.data_dir
@options.output_mode
def command(download: tuple[str, ...], data_dir: Path | None, quiet: bool, as_json: bool) -> None:
    """List the image tasks and the environments that can be taught; download and check the images.

    \b
    Examples:
      gtn-cli tasks
      gtn-cli tasks --download mnist --data-dir data
    """
    from gtn_rl.presets import PRESETS
    from gtn_sl.data import TASKS, find_task, load_task

    if download:
        checked = [_checked(load_task(find_task(name).name, data_dir)) for name in download]
        if as_json:
            echo_json(checked)
        for row in () if as_json else checked:
            click.echo("{task}: {train} training, {validation} validation, {test} test images".format(**row))
        return
    rows = [
        {
            "task": name,
            "image": "x".join(map(str, task.image_shape)),
            "classes": str(task.classes),
            "train": str(task.train_size - task.validation_size),
            "validation": str(task.validation_size),
            "test": str(task.test_size),
        }
        for name, task in TASKS.items()
    ]
    if as_json:
        echo_json([{**row, **{key: getattr(TASKS[row["task"]], key) for key in TOLD}} for row in rows])
        return
    console.print_table(rows)
    if quiet:
        return
    for name, task in TASKS.items():
        click.echo(f"{name}: {task.source}; {task.licence}")
    click.echo(f"your own images: {OWN_IMAGES}")
    click.echo(f"\nsynthetic environments: {ENVIRONMENTS} {', '.join(PRESETS['fast'])}")
    for what, names, use in _shipped():
        click.echo(f"\nshipped {what} ({use}):\n  {', '.join(names) or 'none'}")


def _checked(data: TaskData) -> dict[str, Any]:
    """Returns the sizes of a task's splits, which have been loaded and checked."""
    counts = {name: len(getattr(data, name)) for name in ("train", "validation", "test")}
    return {"task": data.task.name, **counts}


def _shipped() -> list[tuple[str, Sequence[str], str]]:
    """Returns what ships with the package: for each kind its title, the names, and a command that uses one."""
    from gtn_envs import shipped_ids
    from gtn_envs.document import ENVIRONMENT, STREAM
    from gtn_sl.shipped import shipped_teachers

    return [
        ("teachers of images", shipped_teachers(), "gtn-cli train-learner --teacher NAME"),
        ("data streams", shipped_ids(STREAM), "gtn-cli train-agent --env NAME --config tuned"),
        ("synthetic environments", shipped_ids(ENVIRONMENT), "gtn-cli train-agent --env NAME"),
    ]
