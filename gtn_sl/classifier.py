"""A trained learner as an ordinary module from images to class scores, and how it is saved and loaded."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gtn_core.checkpoint import load_checkpoint, load_into, save_checkpoint
from gtn_core.errors import CheckpointError, GTNError
from gtn_core.seeding import seeded
from gtn_core.version import installed_version
from gtn_sl.evaluation import train
from gtn_sl.judging import step_plan
from gtn_sl.learners import architecture
from gtn_sl.starting_point import told_name
from gtn_sl.teacher_file import TeacherFile, load_teacher

KIND = "learner"


class Classifier(nn.Module):
    """A trained network and the normalisation it was trained with: pictures in, logits out.

    Args:
        net: Takes normalised images ``(N, C, H, W)``.
        document: Header of its file: ``learner``, ``task``, ``image_shape``, ``class_names``, ``mean``, ``std``, and
            how it was made.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, document: Mapping[str, Any]) -> None:
        super().__init__()
        self.net, self.document = net, dict(document)
        self.register_buffer("mean", torch.tensor(document["mean"]).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(document["std"]).view(-1, 1, 1), persistent=False)

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, in the order of the outputs."""
        return tuple(self.document["class_names"])

    def forward(self, images: Tensor | NDArray[Any]) -> Tensor:
        """Classifies pictures.

        Args:
            images: Tensor or numpy array ``(N, C, H, W)``: bytes (``uint8``), or floats in ``[0, 1]``; normalised here.

        Returns:
            Logits, shape ``(N, classes)``.

        Raises:
            ValueError: The images' shape is not the task's, or they are neither floats nor bytes.
        """
        images, shape = torch.as_tensor(images, device=self.mean.device), tuple(self.document["image_shape"])
        if tuple(images.shape[1:]) != shape:
            raise ValueError(f"this classifier expects images {('N', *shape)}, not {tuple(images.shape)}")
        if not (images.is_floating_point() or images.dtype == torch.uint8):
            raise ValueError(f"this classifier expects bytes (torch.uint8) or floats in [0, 1], not {images.dtype}")
        pixels = images.to(self.mean.dtype) / (255 if images.dtype == torch.uint8 else 1)
        return self.net((pixels - self.mean) / self.std)


def train_learner(
    teacher: str | Path | TeacherFile,
    learner: str | None = None,
    *,
    seed: int = 0,
    steps: int | None = None,
    device: str = "cpu",
) -> Classifier:
    """Trains a fresh learner on a teacher; no real image is read.

    Args:
        teacher: Name of a shipped teacher, a file, a run folder, or what ``load_teacher`` returned.
        learner: A name in ``gtn_sl.learners``; ``None`` takes ``learner.architecture`` of the teacher's config.
        seed: Seed of the learner's initial parameters, and of the lesson if it differs between learners.
        steps: Number of inner steps, see ``SupervisedTeacher.for_steps``; ``None`` for those it was trained for.
        device: Device to train on.

    Returns:
        The classifier, in evaluation mode.

    Raises:
        GTNError: There is no such teacher or learner, or the learner's loss is not finite.
    """
    file = teacher if isinstance(teacher, TeacherFile) else load_teacher(teacher)
    name = learner or file.config.learner.architecture
    plan, stream = step_plan(file), copy.deepcopy(file.teacher).to(device)
    stream = stream.for_steps(stream.steps if steps is None else steps)
    fresh, phi = architecture(name).fresh(stream.task, seed, plan.layout)
    trail = train(stream.for_learner(seed), fresh, phi.to(device), plan)
    document = {
        **stream.task.facts(),
        "learner": name,
        "teacher": told_name(str(file.path)),
        "steps": stream.steps,
        "batch_size": stream.batch_size,
        "seed": seed,
    }
    return Classifier(fresh.module(trail.final, trail.statistics[-1]), document).to(device).eval()


def save_learner(path: str | Path, classifier: Classifier, **facts: Any) -> None:
    """Writes a classifier to a file for ``load_learner``.

    Args:
        path: A ``.safetensors`` file; an existing one is replaced atomically.
        classifier: The classifier.
        facts: Further entries of the header, as JSON values, e.g. ``test_accuracy``.

    Raises:
        GTNError: The file cannot be written.
    """
    version = installed_version()
    document = {**classifier.document, **facts, "kind": KIND, "version": version}
    save_checkpoint(Path(path), classifier.net.state_dict(), document)


def load_learner(path: str | Path) -> Classifier:
    """Reads a classifier from a file.

    Args:
        path: A file written by ``save_learner``, ``gtn-cli train-learner --save`` or ``gtn-cli nas train``.

    Returns:
        The classifier, on the CPU and in evaluation mode.

    Raises:
        CheckpointError: The file is missing, damaged or of another kind, or its architecture is unknown.
    """
    path = Path(path)
    tensors, document = load_checkpoint(path, KIND)
    try:
        family, classes = architecture(document["learner"]), len(document["class_names"])
        with seeded(document["seed"]):  # the architecture itself may be random
            classifier = Classifier(family.module(document["image_shape"], classes), document)
    except GTNError as error:
        raise CheckpointError(f"{path}: the header does not describe a valid learner: {error}") from error
    except KeyError as error:
        raise CheckpointError(f"{path}: the header lacks {error}") from error
    load_into(classifier.net, tensors, path)
    return classifier.eval()
