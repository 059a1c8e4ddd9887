"""Exporting a teacher's batches as a data set, in formats that can be read without this package."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from PIL import Image

from gtn_core.errors import GTNError, UsageError
from gtn_core.registry import Registry
from gtn_core.whole_file import replacing, require_writable
from gtn_envs import DataStream, make_stream, save_stream
from gtn_envs.episode_orders import GIVEN, ORDERS
from gtn_sl.curricula import CURRICULA
from gtn_sl.lessons import ORDERS as LESSON_ORDERS
from gtn_sl.teacher_file import TeacherFile


def to_stream(file: TeacherFile, seed: int = 0, steps: int | None = None) -> DataStream:
    """Runs a teacher once and returns everything that it shows a learner, its labels rounded to float16.

    Args:
        file: The teacher.
        seed: Seed of the learner whose lesson it is, if every learner has a different one.
        steps: Number of batches, see ``SupervisedTeacher.for_steps``; ``None`` for those it was trained for.

    Raises:
        UsageError: The teacher's batches depend on the learner's progress.
    """
    file.teacher.require_open("a data set")
    whole, task = file.teacher, file.teacher.task
    teacher = whole.for_steps(whole.steps if steps is None else steps).for_learner(seed)
    images, labels = [], []
    with torch.no_grad():
        for step in range(teacher.steps):
            batch, probabilities = teacher.batch(step)
            images.append((task.denormalise(batch) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
            labels.append(probabilities.cpu().numpy())
        lr, momentum = (values.cpu().numpy() for values in teacher.schedule())
    document = {
        "task": task.name,
        "class_names": list(task.class_names),
        "mean": list(task.mean),
        "std": list(task.std),
        "order": _order_of(file),
        "seed": seed,
        "optimizer": file.config.inner.optimizer,
        **{key: file.document[key] for key in ("config", "metrics", "provenance", "version") if file.document.get(key)},
    }
    return make_stream(np.stack(images), np.stack(labels), document, lr=lr, momentum=momentum, source=str(file.path))


def _order_of(file: TeacherFile) -> str:
    """Returns how an environment may shuffle what a teacher shows: as its curriculum does; fresh noise in any way."""
    if not CURRICULA[file.config.teacher.curriculum].noise.has_samples:
        return "all-shuffled"
    name = next(name for name, order in LESSON_ORDERS.items() if order is file.teacher.order)
    return name if name in ORDERS else GIVEN


@dataclass(frozen=True)
class Exporter:
    """An export format.

    Attributes:
        write: Writes a stream to a path.
        suffix: Suffix of its file; ``None`` for a folder.
    """

    write: Callable[[Path, DataStream], None]
    suffix: str | None


EXPORTERS: Registry[Exporter] = Registry("format")
"""Export formats by name."""


def require_exportable(format: str, path: Path) -> None:
    """Checks, before any work, that a stream can be written in a format; creates the folder of a file if it is missing.

    Raises:
        UsageError: There is no such format, the path does not fit it, or it cannot be written.
    """
    suffix = EXPORTERS[format].suffix
    if suffix is None:
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise UsageError(f"{path} already exists; a folder of images must be new or empty")
        return
    if path.suffix != suffix:
        raise UsageError(f"a data set in the format {format} must be a file named <name>{suffix}, not {path}")
    require_writable(path)


def export(stream: DataStream, format: str, path: Path) -> None:
    """Writes a stream to a file or folder.

    Args:
        stream: What ``to_stream`` returns.
        format: A name in ``EXPORTERS``.
        path: File, or for ``png`` folder. A file is replaced atomically; a folder must be new or empty, and is left
            empty if it cannot be filled.

    Raises:
        UsageError: There is no such format, or the path does not fit it.
        GTNError: The path cannot be written.
    """
    require_exportable(format, path)
    EXPORTERS[format].write(path, stream)


def _export_safetensors(path: Path, stream: DataStream) -> None:
    metadata = {key: json.dumps(value) for key, value in stream.document.items()}
    with replacing(path) as file:
        file.write(safetensors.numpy.save(dict(_arrays(stream)), metadata))


def _export_npz(path: Path, stream: DataStream) -> None:
    with replacing(path) as file:
        arrays: dict[str, Any] = {**_arrays(stream), "class_names": np.array(stream.class_names)}
        np.savez_compressed(file, **arrays)


def _export_png(path: Path, stream: DataStream) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=path) as temporary:
            _write_pictures(Path(temporary), stream)
            for part in sorted(Path(temporary).iterdir()):
                part.replace(path / part.name)
    except OSError as error:
        raise GTNError(f"cannot write {path}: {error.strerror or error}") from error


def _write_pictures(path: Path, stream: DataStream) -> None:
    """Writes a folder of images by class, a table of their labels, and a record of what made them."""
    folders = [path / name for name in folder_names(stream.class_names)]
    for folder in folders:
        folder.mkdir()
    rows = [_write_picture(path, folders, stream, *divmod(i, stream.batch_size)) for i in range(len(stream))]
    table = io.StringIO()
    csv.writer(table).writerows([["file", "step", "position", *stream.class_names], *rows])
    for name, text in (("labels.csv", table.getvalue()), ("dataset.json", json.dumps(dict(stream.document), indent=1))):
        with replacing(path / name) as file:
            file.write(text.encode())


def _write_picture(path: Path, folders: list[Path], stream: DataStream, step: int, position: int) -> list[Any]:
    """Writes one image into the folder of its likeliest class, and returns its row of the table."""
    pixels, label = stream.images[step, position], stream.labels[step, position].astype(np.float32)
    target = folders[int(label.argmax())] / f"{step:04d}-{position:04d}.png"
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(target)
    return [target.relative_to(path), step, position, *(f"{p:.4g}" for p in label)]


def folder_names(class_names: tuple[str, ...]) -> list[str]:
    """Returns a folder name for each class; sorted, as readers of such folders do, they are in label order."""
    width = len(str(len(class_names) - 1))
    plain = [re.sub(r"[^\w.-]+", "-", name) for name in class_names]
    return [f"{i:0{width}d}" + ("" if name == str(i) else f"-{name}") for i, name in enumerate(plain)]


def _arrays(stream: DataStream) -> dict[str, NDArray]:
    """Returns images uint8 (N, H, W, C) and label probabilities float32 (N, classes), in the order of teaching.

    A stream's probabilities have been rounded to float16; float32 is what training loops take.
    """
    images = stream.images.reshape(len(stream), *stream.images.shape[2:])
    return {"images": images, "labels": stream.labels.reshape(len(stream), -1).astype(np.float32)}


EXPORTERS.register("stream")(Exporter(save_stream, ".safetensors"))
EXPORTERS.register("safetensors")(Exporter(_export_safetensors, ".safetensors"))
EXPORTERS.register("npz")(Exporter(_export_npz, ".npz"))
EXPORTERS.register("png")(Exporter(_export_png, None))
