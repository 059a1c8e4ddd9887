"""``gtn-cli inspect`` for a data stream: the file, how it was made, and a picture of its batches."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from gtn_cli import console
from gtn_cli.drawn import drawn
from gtn_cli.environment_file import environment_file
from gtn_cli.json_output import echo_json
from gtn_cli.report_folder import folder_beside
from gtn_core.errors import GTNError

if TYPE_CHECKING:
    from gtn_envs import DataStream

HEADER = ("task", "class_names", "seed", "optimizer", "version")
"""Entries of the file's document that are shown unchanged."""


def show_stream(path: Path, out: Path | None, *, quiet: bool, as_json: bool) -> None:
    """Prints a stream and writes ``batches.png``; for a shipped stream only if ``out`` is given.

    Raises:
        GTNError: The file is invalid, or the folder ``out`` cannot be created.
    """
    import gtn_envs
    from gtn_core.tracking import flatten

    try:
        stream = gtn_envs.load_stream(environment_file(path))
    except gtn_envs.WeightsError as error:
        raise GTNError(str(error)) from error
    assert stream.path is not None
    usual = folder_beside(path) if path.is_file() else None
    picture = drawn(out, usual, functools.partial(_picture, stream))
    document = stream.document
    facts = {
        "file": str(stream.path),
        "bytes": stream.path.stat().st_size,
        "images": len(stream),
        "steps": stream.steps,
        "batch_size": stream.batch_size,
        "image": list(stream.images.shape[2:]),
        "order": stream.order,
        **{key: document[key] for key in HEADER if key in document},
    }
    metrics = document.get("metrics") or {}
    if as_json:
        echo_json({**facts, "metrics": metrics, "picture": str(picture) if picture else None})
        return
    shown = {**facts, **{f"metrics.{key}": value for key, value in flatten(metrics).items()}}
    console.print_table([{"": key, "value": str(value)} for key, value in shown.items()])
    if not quiet and (config := document.get("config")):
        console.print_table([{"setting": key, "value": str(value)} for key, value in flatten(config).items()])
    if picture and not quiet:
        click.echo(f"picture: {picture}")


def _picture(stream: DataStream, folder: Path) -> Path:
    """Draws images of up to eight batches, from the first (top) to the last (bottom)."""
    import torch

    from gtn_sl.reports.pictures import batch_grid
    from gtn_sl.reports.plots import save_picture

    columns, count = min(len(stream.class_names), stream.batch_size), min(8, stream.steps)
    rows = [stream.images[i * (stream.steps - 1) // max(1, count - 1)][:columns] for i in range(count)]
    images = torch.from_numpy(np.concatenate(rows)).permute(0, 3, 1, 2) / 255
    save_picture(folder / "batches.png", batch_grid(images, columns, zoom=3))
    return folder / "batches.png"
