"""Halving a teacher's file: tensors stored as float16, once validation data shows that it teaches as well."""

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
from gtn_core.counts import require_counts
from gtn_core.errors import GTNError, UsageError
from gtn_core.seeding import Streams
from gtn_core.whole_file import require_writable
from gtn_sl.data import TaskData
from gtn_sl.evaluation import evaluate_stream
from gtn_sl.judging import step_plan
from gtn_sl.teacher_file import TeacherFile

FEW = 1024
"""Largest size of a tensor that keeps its type: a schedule or a range of values saves nothing."""

LARGEST = float(torch.finfo(torch.float16).max)


@dataclass(frozen=True)
class Compaction:
    """The outcome of a compaction.

    Attributes:
        before: Mean validation accuracy of fresh learners on the teacher as it was.
        after: The same on the stored one.
        standard_error: Standard error of the difference, over learners: float16 also changes each learner by chance.
        learners: Number of learners, over all architectures.
        bytes_before: Size of the file that was read.
        bytes_after: Size of the file that was written.
    """

    before: float
    after: float
    standard_error: float
    learners: int
    bytes_before: int
    bytes_after: int


def compact_teacher(
    file: TeacherFile,
    path: str | Path,
    data: TaskData,
    *,
    count: int = 20,
    tolerance: float = 0.001,
    after_learner: Callable[[], object] | None = None,
) -> Compaction:
    """Writes a teacher in float16 unless learners lose accuracy by it; ``load_teacher`` converts back to float32.

    The same fresh learners are trained on both versions and tested on validation data. Test data is not read.

    Args:
        file: The teacher.
        path: The ``.safetensors`` file to write.
        data: The teacher's task.
        count: Fresh learners per architecture that the teacher was validated on.
        tolerance: Largest acceptable drop in mean accuracy, as a share.
        after_learner: Called after each learner, ``units_of_work`` times in all.

    Raises:
        UsageError: ``count`` is not positive, or ``path`` has another suffix or is no place to write to.
        GTNError: The drop is larger, and nothing was written; or the file cannot be written.
    """
    path = Path(path)
    require_counts(count=count)
    if path.suffix != ".safetensors":
        raise UsageError(f"a teacher is written to a .safetensors file, not to {path}")
    require_writable(path)
    tensors, document = load_checkpoint(file.path, "teacher")
    stored = in_float16(tensors)
    halved = dataclasses.replace(file, teacher=copy.deepcopy(file.teacher))
    load_into(halved.teacher, stored, file.path)
    finals = [_accuracies(each, data, count, after_learner) for each in (file, halved)]
    before, after = (float(final.mean()) for final in finals)
    if before - after > tolerance:
        raise GTNError(
            f"{file.path} loses {100 * (before - after):.2f} points of validation accuracy in float16 ({100 * before:.2f}% to"
            f" {100 * after:.2f}%), more than the {100 * tolerance:.2f} allowed; keep the original"
        )
    n = len(finals[0])
    error = float(np.std(finals[1] - finals[0], ddof=1)) / n**0.5 if n > 1 else 0.0
    bytes_before = file.path.stat().st_size  # before saving, which may replace the file
    told = {"floats": "float16", "validation_accuracy_before": before, "validation_accuracy": after, "learners": n}
    save_checkpoint(path, stored, {**document, "storage": told})
    return Compaction(before, after, error, n, bytes_before, path.stat().st_size)


def units_of_work(file: TeacherFile, count: int) -> int:
    """Returns how many times ``compact_teacher`` calls ``after_learner``."""
    return 2 * count * len(file.config.judges)


def in_float16(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors, in float16 if they have more than ``FEW`` floats and none would overflow."""

    def stored(tensor: Tensor) -> Tensor:
        fits = tensor.is_floating_point() and tensor.numel() > FEW and float(tensor.abs().max()) <= LARGEST
        return tensor.half() if fits else tensor

    return {name: stored(tensor) for name, tensor in tensors.items()}


def _accuracies(
    file: TeacherFile, data: TaskData, count: int, after_learner: Callable[[], object] | None
) -> NDArray[np.float64]:
    """Returns the validation accuracy of each learner, one architecture after the other, shape ``(learners,)``."""
    streams, plan = Streams(0), step_plan(file)
    seeds = [streams.seed("compaction-learner", index) for index in range(count)]

    def judged_by(name: str) -> NDArray[np.float64]:
        stream, split = file.teacher, data.validation
        return evaluate_stream(name, stream, name, data, split, seeds, plan=plan, after_learner=after_learner).final

    return np.concatenate([judged_by(name) for name in file.config.judges])
