"""A teacher's file at half the size: tensors stored as float16, and the proof on validation data that it teaches as well."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gtn_core.checkpoint import load_checkpoint, load_into, save_checkpoint
from gtn_core.errors import GTNError
from gtn_core.seeding import Streams
from gtn_sl.data import TaskData
from gtn_sl.evaluation import evaluate_stream
from gtn_sl.judging import step_plan
from gtn_sl.teacher_file import TeacherFile

FEW = 1024
"""Numbers up to which a tensor stays as it is: a schedule or a range of values saves nothing."""

LARGEST = float(torch.finfo(torch.float16).max)


@dataclass(frozen=True)
class Compaction:
    """What became of a teacher.

    Attributes:
        before: Mean validation accuracy of fresh learners on the teacher as it was.
        after: The same on the stored one.
        standard_error: Of their difference, from learner to learner: float16 also changes what chance makes of a learner.
        learners: How many, over all architectures.
        bytes_before: Size of the file it was read from.
        bytes_after: Size of the file that was written.
    """

    before: float
    after: float
    standard_error: float
    learners: int
    bytes_before: int
    bytes_after: int


def compact(
    file: TeacherFile,
    path: Path,
    data: TaskData,
    *,
    count: int = 20,
    tolerance: float = 0.001,
    after_learner: Callable[[], object] | None = None,
) -> Compaction:
    """Writes a teacher in float16, if learners do not lose by it; ``load_teacher`` gives float32 again.

    The same fresh learners are trained on both and tested on validation data. Test data is not read.

    Args:
        file: The teacher.
        path: A ``.safetensors`` file to write.
        data: Its task.
        count: Fresh learners of each architecture that the teacher was validated on.
        tolerance: Largest loss of mean accuracy, as a share.
        after_learner: Called after each learner, ``units_of_work`` times.

    Raises:
        GTNError: The loss is larger, and nothing was written; or the file cannot be written.
    """
    tensors, document = load_checkpoint(file.path, "teacher")
    stored = in_float16(tensors)
    halved = dataclasses.replace(file, teacher=copy.deepcopy(file.teacher))
    load_into(halved.teacher, stored, file.path)
    finals = [_accuracies(each, data, count, after_learner) for each in (file, halved)]
    before, after = (float(final.mean()) for final in finals)
    if before - after > tolerance:
        raise GTNError(
            f"{file.path} loses {100 * (before - after):.2f} points of validation accuracy in float16 ({100 * before:.2f}% to"
            f" {100 * after:.2f}%), more than {100 * tolerance:.2f}; use it as it is"
        )
    n = len(finals[0])
    error = float(np.std(finals[1] - finals[0], ddof=1)) / n**0.5 if n > 1 else 0.0
    bytes_before = file.path.stat().st_size  # which may be the file that is written
    told = {"floats": "float16", "validation_accuracy_before": before, "validation_accuracy": after, "learners": n}
    save_checkpoint(path, stored, {**document, "storage": told})
    return Compaction(before, after, error, n, bytes_before, path.stat().st_size)


def units_of_work(file: TeacherFile, count: int) -> int:
    """Returns how often ``compact`` will call ``after_learner``."""
    return 2 * count * len(file.config.judges)


def in_float16(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns tensors with those of many floats, none too large for it, in float16."""

    def stored(tensor: Tensor) -> Tensor:
        fits = tensor.is_floating_point() and tensor.numel() > FEW and float(tensor.abs().max()) <= LARGEST
        return tensor.half() if fits else tensor

    return {name: stored(tensor) for name, tensor in tensors.items()}


def _accuracies(
    file: TeacherFile, data: TaskData, count: int, after_learner: Callable[[], object] | None
) -> NDArray[np.float64]:
    """Returns the validation accuracy of each learner, one architecture after the other."""
    streams, plan = Streams(0), step_plan(file)
    seeds = [streams.seed("compaction-learner", index) for index in range(count)]

    def judged_by(name: str) -> NDArray[np.float64]:
        stream, split = file.teacher, data.validation
        return evaluate_stream(name, stream, name, data, split, seeds, plan=plan, after_learner=after_learner).final

    return np.concatenate([judged_by(name) for name in file.config.judges])
