"""A trained teacher as the start of another meta-training: for longer, on other learners, for other images of the same shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gtn_core.checkpoint import load_checkpoint, load_document, load_into
from gtn_core.errors import CheckpointError, GTNError, UsageError
from gtn_sl.data import ImageTask
from gtn_sl.shipped import find_teacher, is_shipped, known_by

if TYPE_CHECKING:
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
"""Settings that a run shares with the teacher it starts from: its parts and sizes, and what its schedule was learned for."""

OF_THE_RUN = ("generator.offset", "generator.scale", "encoder.")
"""Starts of the names of tensors that are not taken over: the range of the task's values, and an autoencoder's other half."""

TOLD = ("task", "provenance", "metrics")
"""What the header says of the file that a meta-training started from."""


def named_start(layers: Sequence[Settings]) -> str | None:
    """Returns the teacher that the layers of a config start from, as the last that speaks of it has it."""
    start = None
    for layer in layers:
        teacher = layer.get("teacher")
        if isinstance(teacher, Mapping):
            start = teacher.get("start", start)
    return start if isinstance(start, str) else None  # what else it may be is refused with the other settings


def settings_of(start: str, task: ImageTask) -> Settings:
    """Returns a trained teacher's own settings of its parts and of the inner loop, for a run that starts from it.

    Args:
        start: A shipped teacher's name, a run folder, or a file.
        task: What the run is to teach.

    Raises:
        UsageError: There is no such teacher, or its images are of another shape or number of classes.
    """
    document = _document(start)
    shape, classes = tuple(document["image_shape"]), len(document["class_names"])
    if (shape, classes) != (task.image_shape, task.classes):
        raise UsageError(
            f"teacher.start={start}: its images are {_described(shape, classes)}, those of {task.name}"
            f" {_described(task.image_shape, task.classes)}"
        )
    settings = document["config"]
    return {
        "teacher": {**settings["teacher"], "warm_start": 0},
        "inner": {**settings["inner"], "grow": 0.0},  # it has reached its length
    }


def whole_path(start: str) -> str:
    """Returns what names the teacher from any folder: the path of its file, or the shipped one's name as it is."""
    file = find_teacher(start)
    return start if is_shipped(file) else str(file.absolute())


def told_name(start: str) -> str:
    """Returns what a file's header may say of it: no folder of this machine, which means nothing elsewhere."""
    return known_by(find_teacher(start)).name.removesuffix(".safetensors")


def refuse_another_form(config: MetaTrainConfig, own: MetaTrainConfig) -> None:
    """Checks that a run leaves the form of the teacher it starts from as it is.

    Args:
        config: The run's settings.
        own: The same, but for what the user said of the teacher and the inner loop.

    Raises:
        UsageError: A setting of the form is another one.
    """
    for part, names in FORM.items():
        for name in names:
            its, asked = (getattr(getattr(settings, part), name) for settings in (own, config))
            if its != asked:
                raise UsageError(
                    f"{part}.{name}={asked}: a run that starts from {config.teacher.start} keeps its form, {part}.{name}={its}"
                )


def take_over(teacher: SupervisedTeacher, start: str) -> Settings:
    """Puts a trained teacher's generator, noise, labels and schedule in a new one's place.

    Returns:
        What the new one's header is to say of it.

    Raises:
        CheckpointError: The file is damaged, or does not fit its own header.
    """
    path, document = find_teacher(start), _document(start)
    tensors, _ = load_checkpoint(path, "teacher")
    found = {name: tensor for name, tensor in tensors.items() if not name.startswith(OF_THE_RUN)}
    own = {name: tensor for name, tensor in teacher.state_dict().items() if name.startswith(OF_THE_RUN)}
    load_into(teacher, {**found, **own}, path)
    return {"teacher": told_name(start), **{key: document[key] for key in TOLD if document.get(key)}}


def _document(start: str) -> dict[str, Any]:
    try:
        document = load_document(find_teacher(start), "teacher")
        told = {"image_shape", "class_names", "config"} <= document.keys() and FORM.keys() <= document["config"].keys()
        if document.get("domain") != "supervised" or not told:
            raise CheckpointError(f"{start} is not a teacher of images")
    except GTNError as error:  # an unknown name is a KeyError, too
        raise UsageError(f"teacher.start: {error}") from error
    return document


def _described(shape: Sequence[int], classes: int) -> str:
    return f"{'x'.join(map(str, shape))} in {classes} classes"
