"""A teacher's file, with all that is needed to use and remake it: writing, reading, and loading its task's images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtn_core.checkpoint import load_checkpoint, load_document, load_into, save_checkpoint
from gtn_core.config import resolve, to_dict
from gtn_core.errors import CheckpointError, DataError, GTNError
from gtn_core.version import installed_version
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import ImageTask, TaskData, compare_images, described_task, find_task, is_file, is_own, load_task
from gtn_sl.data.folder import ENV_VAR, resolve_data_dir
from gtn_sl.provenance import Provenance
from gtn_sl.shipped import find_teacher
from gtn_sl.starting_point import told_name
from gtn_sl.teacher import SupervisedTeacher


@dataclass(frozen=True)
class TeacherFile:
    """A teacher read from a file.

    Attributes:
        teacher: The teacher, on the CPU.
        config: Settings that it was meta-trained with.
        document: The file's header.
        path: Path of the file.
    """

    teacher: SupervisedTeacher
    config: MetaTrainConfig
    document: Mapping[str, Any]
    path: Path


def save_teacher(
    path: Path,
    teacher: SupervisedTeacher,
    config: MetaTrainConfig,
    metrics: Mapping[str, Any],
    provenance: Provenance | None = None,
) -> None:
    """Writes a teacher with all that is needed to use it and to make it again.

    Args:
        path: A ``.safetensors`` file; an existing one is replaced atomically.
        teacher: The teacher.
        config: Settings that it was meta-trained with.
        metrics: How good it is, by measure; plain JSON values.
        provenance: How it was made and what that cost, if known.

    Raises:
        GTNError: The file cannot be written.
    """
    task = teacher.task
    document = {
        "kind": "teacher",
        "domain": "supervised",
        **task.facts(),
        "config": _told(config),
        "metrics": dict(metrics),
        "provenance": provenance.to_json() if provenance else None,
        "version": installed_version(),
    }
    save_checkpoint(path, teacher.state_dict(), document)


def _told(config: MetaTrainConfig) -> dict[str, Any]:
    """Returns the settings as JSON values, without folders of this machine, which mean nothing elsewhere."""
    settings = {**to_dict(config), "data_dir": None}
    if config.teacher.start is not None:
        settings["teacher"]["start"] = told_name(config.teacher.start)
    return settings


def load_teacher(path: str | Path) -> TeacherFile:
    """Reads a teacher from a file.

    Args:
        path: A ``.safetensors`` file, a run folder that holds ``teacher.safetensors``, or the name of a shipped
            teacher, e.g. ``"mnist"``.

    Raises:
        UnknownNameError: No shipped teacher has this name.
        CheckpointError: The file is missing, damaged or of another kind, or does not fit its own header.
    """
    path = find_teacher(path)
    document = load_document(path, "teacher")
    if document.get("domain") != "supervised":
        raise CheckpointError(f"{path} holds a {document.get('domain')!r} teacher, not a supervised one")
    for part in ("config", "metrics"):
        if not isinstance(document.get(part), dict):
            raise CheckpointError(f"{path}: the header lacks {part!r}")
    try:
        config = resolve(MetaTrainConfig, document["config"])
        task = _task_of(document, path)
        teacher = SupervisedTeacher(config, task)
    except CheckpointError:
        raise
    except GTNError as error:  # an unknown name is also a KeyError
        raise CheckpointError(f"{path}: the header does not describe a valid teacher: {error}") from error
    except KeyError as error:
        raise CheckpointError(f"{path}: the header lacks {error}") from error
    tensors, _ = load_checkpoint(path, "teacher")
    load_into(teacher, tensors, path)
    return TeacherFile(teacher, config, document, path)


def load_real_images(file: TeacherFile, data_dir: str | Path | None = None) -> TaskData:
    """Loads the real images of a teacher's task; see ``load_task``. Warns if a user's own images have changed.

    They are normalised as the teacher's images, which its learners see, even if the mean of the training images has
    changed. A user's file that has been moved is looked for in the data folder.

    Raises:
        UsageError: There is no such task.
        DataError: A file is missing or damaged, or the images do not fit the teacher's.
    """
    task = file.teacher.task
    data = load_task(_where_it_lies(task.name, data_dir), data_dir)
    if is_own(task.name):
        compare_images(data.task, task, str(file.path))
        return dataclasses.replace(data, task=dataclasses.replace(data.task, mean=task.mean, std=task.std))
    return data


def _where_it_lies(name: str, data_dir: str | Path | None) -> str:
    """Returns a task's name; for a user's file that has been moved, its path in the data folder.

    Raises:
        DataError: It is in neither place.
    """
    if not is_file(name) or Path(name).exists():
        return name
    moved = resolve_data_dir(data_dir) / Path(name).name
    if not moved.is_file():
        raise DataError(
            f"cannot read the images {name}: No such file or directory (if they are in another folder, give it as"
            f" data_dir, --data-dir or {ENV_VAR})"
        )
    return str(moved)


def _task_of(document: Mapping[str, Any], path: Path) -> ImageTask:
    """Returns the task that a header names; a user's own as the header describes it, even if its images are missing.

    Raises:
        CheckpointError: The task comes with the package, but differs from the header's.
        UsageError: No such task comes with the package.
        DataError: The header does not describe a task.
        KeyError: An entry is missing.
    """
    facts = {key: document[key] for key in ("task", "image_shape", "class_names", "mean", "std")}
    if isinstance(facts["task"], str) and is_own(facts["task"]):
        return described_task(facts)
    task = find_task(str(facts["task"]))
    if task.facts() != facts:
        raise CheckpointError(f"{path}: image shape, classes or normalisation differ from those of {task.name}")
    return task
