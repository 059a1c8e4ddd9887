"""Rankers that train on a teacher's data: in the order of its curriculum, or as a small set of distilled images."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from gtn_core.checkpoint import load_document
from gtn_core.config import Positive, PositiveReal, config
from gtn_core.errors import UsageError
from gtn_core.inner_optim import inner_optimizer
from gtn_sl.data import compare_images, is_own
from gtn_sl.lessons import backwards, given
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Setting
from gtn_sl.nas.rankers.short_training import Measure, judged_after
from gtn_sl.provenance import cpu_seconds_of
from gtn_sl.shipped import find_teacher
from gtn_sl.stream import Stream
from gtn_sl.streams.cosine_schedule import Momentum, cosine_schedule
from gtn_sl.streams.fixed import Remembered, SmallSet
from gtn_sl.teacher import SupervisedTeacher
from gtn_sl.teacher_file import load_teacher


class _OfAFile(Ranker):
    """Base class of rankers that read a teacher's file."""

    file: str

    def check(self, setting: Setting) -> None:
        """See ``Ranker.check``; also checks that the teacher teaches this task."""
        path = _path(self.file, self.name)
        task, wanted = str(load_document(path, "teacher")["task"]), setting.task
        if is_own(task) and is_own(wanted.name):  # the same images may have been moved to another path
            described = load_teacher(path).teacher.task
            if task == wanted.name:
                compare_images(wanted, described, str(path))
            if {**described.facts(), "task": wanted.name} == wanted.facts():
                task = wanted.name
        if task != wanted.name:
            raise UsageError(
                f"ranker {self.name}: {path} teaches {task}, but architectures are judged on {wanted.name}"
            )
        super().check(setting)

    def read_teacher(self) -> SupervisedTeacher:
        """Reads the teacher.

        Raises:
            UsageError: No teacher is named, or it is unknown.
            CheckpointError: The file cannot be read.
        """
        return load_teacher(_path(self.file, self.name)).teacher

    def identity(self) -> dict[str, Any]:
        """See ``Ranker.identity``."""
        path = _path(self.file, self.name)
        load_document(path, "teacher")  # gives a clear error message for a wrong file
        return {"ranker": self.name, "teacher": hashlib.sha256(path.read_bytes()).hexdigest()[:16]}

    def paid_before(self) -> float | None:
        """See ``Ranker.paid_before``: the cost of the meta-training, from the file's header."""
        return cpu_seconds_of(load_document(_path(self.file, self.name), "teacher"))


@RANKERS.register("teacher")
@config
class TeacherRanker(_OfAFile):
    """Trains for the first k steps of a teacher, with its learning rates."""

    file: str = ""
    """A teacher's ``.safetensors`` file, its run folder, or the name of one that ships with the package."""
    steps: Positive | None = None
    """Training steps, k; by default all of the teacher's."""
    measure: Measure = "accuracy"
    """Measure on validation data: ``accuracy`` or ``loss``."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        return judged_after(*self.lessons(), setting, self.measure)

    def lessons(self) -> tuple[Stream, int]:
        """Returns the stream that architectures are trained on and the number of steps.

        Raises:
            UsageError: No teacher is named, it is unknown, or it has fewer steps.
            CheckpointError: The file cannot be read.
        """
        teacher = self.read_teacher()
        steps = self.steps or teacher.steps
        if steps > teacher.steps:
            raise UsageError(f"ranker {self.name}: the teacher has only {teacher.steps} steps")
        return (Remembered(teacher, steps) if _same_for_all(teacher) else teacher), steps


@RANKERS.register("distilled")
@config
class Distilled(_OfAFile):
    """Trains on all of a teacher's images and labels as a small data set, in shuffled epochs with a cosine schedule."""

    file: str = ""
    """A teacher's ``.safetensors`` file, its run folder, or the name of one that ships with the package."""
    steps: Positive = 128
    """Training steps, k."""
    batch_size: Positive = 128
    """Images per step."""
    lr: PositiveReal = 0.05
    """Initial learning rate, which decays to 0 with a cosine."""
    momentum: Momentum = 0.9
    """Momentum; for Adam, beta1."""
    optimizer: str = "sgd"
    """Optimizer: ``sgd``, ``rmsprop`` or ``adam``."""
    eps: PositiveReal = 1e-8
    """Added to the root of the mean squared gradient by RMSprop and Adam."""
    measure: Measure = "accuracy"
    """Measure on validation data: ``accuracy`` or ``loss``."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        teacher = self.read_teacher()
        teacher.require_open(f"ranker {self.name}")
        with torch.no_grad():
            parts = [teacher.batch(step) for step in range(teacher.steps)]
        images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        optimizer = inner_optimizer(self.optimizer, self.eps)
        schedule = cosine_schedule(self.steps, self.lr, self.momentum)
        stream = SmallSet(images, labels, self.steps, self.batch_size, optimizer, schedule)
        return judged_after(stream, self.steps, setting, self.measure)


@torch.no_grad()
def _same_for_all(teacher: SupervisedTeacher) -> bool:
    """Returns whether all learners get the same batches, in the same order, from the same noise and with equal labels."""
    if teacher.closed_loop or teacher.order not in (given, backwards):
        return False
    one, other = (teacher.for_learner(seed).batch(0) for seed in (0, 1))
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _path(file: str, ranker: str) -> Path:
    """Returns the path of the teacher file that the setting ``file`` names.

    Raises:
        UsageError: The setting is empty, or there is no such teacher.
    """
    if not file:
        name = ranker.partition("@")[0]
        raise UsageError(f"ranker {ranker} needs a teacher: {name}@file=RUN, or a .safetensors file")
    return find_teacher(file)
