"""A trained teacher as the start of another meta-training: longer, on other learners, or on other images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtn_core.checkpoint import load_checkpoint, load_document, load_into
from gtn_core.config import to_dict
from gtn_core.errors import CheckpointError, GTNError, UsageError
from gtn_sl.data import ImageTask, find_task
from gtn_sl.shipped import find_teacher, is_shipped, known_by

if TYPE_CHECKING:
    from torch import Tensor

    from gtn_sl.config import MetaTrainConfig
    from gtn_sl.teacher import SupervisedTeacher

Settings = Mapping[str, Any]

FORM = {
    "teacher": (
        *("generator", "weight_norm", "hidden", "channels", "latent"),
        *("curriculum", "samples", "labels", "warm_start"),
    ),
    "inner": ("steps", "batch_size", "optimizer", "lr", "momentum", "max_momentum"),
}
"""Settings that a run shares with the teacher it starts from: its parts and sizes, and what its schedule depends on.

Of inner steps, it may have a multiple.
"""

OF_THE_RUN = ("generator.offset", "generator.scale", "encoder.")
"""Prefixes of the names of tensors that are not taken over: the range of the task's values, and the encoder."""

RATES = "inner_schedule.log_lr"
"""Name of the tensor that has one number for each inner step."""

OF_THE_STEPS = ("curriculum.", "labels.", "inner_schedule.")
"""Prefixes of the names of tensors that may have a row for each inner step."""

TOLD = ("task", "provenance", "metrics")
"""What a teacher's header records about the teacher that its meta-training started from."""


def named_start(layers: Sequence[Settings]) -> str | None:
    """Returns the teacher that the layers of a config start from: the last one that they set."""
    start = None
    for layer in layers:
        teacher = layer.get("teacher")
        if isinstance(teacher, Mapping):
            start = teacher.get("start", start)
    return start if isinstance(start, str) else None  # other types are refused along with the other settings


def settings_of(start: str, task: ImageTask) -> Settings:
    """Returns a trained teacher's settings of its parts and inner loop, for a run that starts from it.

    Args:
        start: Name of a shipped teacher, a run folder, or a file.
        task: The run's task.

    Raises:
        UsageError: There is no such teacher, or its images have another shape or number of classes.
    """
    document = _document(start)
    shape, classes = tuple(document["image_shape"]), len(document["class_names"])
    if (shape, classes) != (task.image_shape, task.classes):
        raise UsageError(
            f"teacher.start={start} has images of {_described(shape, classes)}, but {task.name} has"
            f" {_described(task.image_shape, task.classes)}"
        )
    settings = document["config"]
    return {
        "teacher": {**settings["teacher"], "warm_start": 0},
        "inner": {**settings["inner"], "grow": 0.0},  # it has reached its full length
    }


def whole_path(start: str) -> str:
    """Returns a name for the teacher that works from any folder: the path of its file, or the shipped one's name."""
    file = find_teacher(start)
    return start if is_shipped(file) else str(file.absolute())


def told_name(start: str) -> str:
    """Returns the name for a file's header: without folders of this machine, which mean nothing elsewhere."""
    return known_by(find_teacher(start)).name.removesuffix(".safetensors")


def refuse_another_form(config: MetaTrainConfig, own: MetaTrainConfig) -> None:
    """Checks that a run keeps the form of the teacher it starts from; it may have a multiple of its inner steps.

    Args:
        config: The run's settings.
        own: The settings of preset and teacher, before the user's.

    Raises:
        UsageError: A setting of the form differs.
    """
    for part, names in FORM.items():
        for name in names:
            its, asked = (getattr(getattr(settings, part), name) for settings in (own, config))
            may_grow = (part, name) == ("inner", "steps") and _may_grow(own)
            if its != asked and not (may_grow and asked % its == 0):
                alternative = " or take a multiple of it" if may_grow else ""
                raise UsageError(
                    f"{part}.{name}={asked}: a run that starts from {config.teacher.start} must keep its"
                    f" {part}.{name}={its}{alternative}"
                )


def settings_not_kept(config: MetaTrainConfig) -> list[str]:
    """Returns the learners' and the meta-loss's settings that differ from those the starting teacher was made with.

    Returns:
        One ``name=value (its value there)`` each; empty if the run starts from no teacher.
    """
    if config.teacher.start is None:
        return []
    its = _document(config.teacher.start)["config"]
    lines = []
    for part in ("learner", "meta_loss"):
        for name, value in to_dict(getattr(config, part)).items():
            there = its.get(part, {}).get(name, value)
            if there != value:
                lines.append(f"{part}.{name}={value} ({there})")
    return lines


def _may_grow(config: MetaTrainConfig) -> bool:
    """Returns whether a teacher's steps can be repeated: each step has samples of the same classes, or shares them all."""
    task = find_task(config.task)
    return config.teacher.samples is not None or config.inner.batch_size >= task.classes


def take_over(teacher: SupervisedTeacher, start: str) -> Settings:
    """Replaces a new teacher's generator, noise, labels and schedule with those of a trained one.

    If the new one has k times as many inner steps, it starts with each of the other's steps k times in a row: its rates
    and its own samples. Samples that all steps share come round again, and fresh noise goes on, as without this.

    Returns:
        What the new one's header is to say about it.

    Raises:
        UsageError: There is no such teacher.
        CheckpointError: The file is damaged, or does not fit its own header.
    """
    path, document = find_teacher(start), _document(start)
    tensors, _ = load_checkpoint(path, "teacher")
    found = {name: tensor for name, tensor in tensors.items() if not name.startswith(OF_THE_RUN)}
    own = {name: tensor for name, tensor in teacher.state_dict().items() if name.startswith(OF_THE_RUN)}
    times = teacher.steps // max(1, len(found.get(RATES, ())))
    load_into(teacher, {**_repeated(found, times, teacher), **own}, path)
    return {"teacher": told_name(start), **{key: document[key] for key in TOLD if document.get(key)}}


def _repeated(found: Mapping[str, Tensor], times: int, teacher: SupervisedTeacher) -> dict[str, Tensor]:
    """Returns a trained teacher's tensors with each row of an inner step repeated, where they have such rows."""
    its = {name: tensor.shape for name, tensor in teacher.state_dict().items()}
    return {
        name: tensor.repeat_interleave(times, dim=0)
        if name.startswith(OF_THE_STEPS) and its.get(name, tensor.shape) != tensor.shape
        else tensor
        for name, tensor in found.items()
    }


def _document(start: str) -> dict[str, Any]:
    try:
        document = load_document(find_teacher(start), "teacher")
        told = {"image_shape", "class_names", "config"} <= document.keys() and FORM.keys() <= document["config"].keys()
        if document.get("domain") != "supervised" or not told:
            raise CheckpointError(f"{start} is not a teacher of images")
    except GTNError as error:  # an unknown name is also a KeyError
        raise UsageError(f"teacher.start: {error}") from error
    return document


def _described(shape: Sequence[int], classes: int) -> str:
    return f"{'x'.join(map(str, shape))} in {classes} classes"
