"""A teacher as a PyTorch dataset, for any training loop that takes a ``DataLoader``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from gtn_core.errors import UsageError
from gtn_sl.data import ImageTask
from gtn_sl.stream import Stream
from gtn_sl.teacher_file import TeacherFile, load_teacher

LabelForm = Literal["soft", "index"]


class TeacherDataset(IterableDataset[tuple[Tensor, Tensor]]):
    """The T x B synthetic images of a teacher, in the order in which it teaches them; one pass is one epoch.

    The workers of a ``DataLoader`` divide the T steps among themselves, so that no image is repeated. The loader reads
    from its workers in turn, so steps stay in order: always for whole batches, else if its batch size is the teacher's.

    Args:
        teacher: Name of a shipped teacher, a file, a run folder, or what ``load_teacher`` returned.
        batches: Whether an item is a whole batch of the teacher (then give the loader ``batch_size=None``) or one
            sample.
        labels: ``"soft"`` for the probabilities that the teacher teaches; ``"index"`` for the likeliest class.
        seed: Seed of the lesson of epoch 0; each later epoch adds one. It matters if the teacher gives each learner
            different noise, labels or order.
        shard: ``(rank, number of processes)`` if several processes train together: they divide the steps among
            themselves. If T is no multiple of their number, the first steps are repeated so that all get equally many,
            as in ``DistributedSampler``: a process with fewer would keep the others waiting.

    Raises:
        GTNError: There is no such teacher.
        UsageError: ``labels`` or ``shard`` is not valid, or the teacher's batches depend on the learner's progress.

    Attributes:
        task: The real task: class names, and the normalisation that the images have and real ones need.
        steps: Number of batches of the teacher, T.
        batch_size: Images per batch, B.
    """

    def __init__(
        self,
        teacher: str | Path | TeacherFile,
        *,
        batches: bool = False,
        labels: LabelForm = "soft",
        seed: int = 0,
        shard: tuple[int, int] = (0, 1),
    ) -> None:
        if labels not in ("soft", "index"):
            raise UsageError(f"labels must be 'soft' or 'index', not {labels!r}")
        if not 0 <= shard[0] < shard[1]:
            raise UsageError(f"shard must be (rank, processes) with 0 <= rank < processes, not {shard}")
        self.file = teacher if isinstance(teacher, TeacherFile) else load_teacher(teacher)
        self.stream: Stream = self.file.teacher
        self.stream.require_open("a data set")
        self.task: ImageTask = self.file.teacher.task
        self.steps, self.batch_size = self.stream.steps, self.stream.batch_size
        self.batches, self.labels, self.seed, self.shard = batches, labels, seed, shard
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # persistent workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Selects the lesson of the next pass, as in ``DistributedSampler.set_epoch``; without it, all are epoch 0."""
        self._epoch.fill_(epoch)

    def schedule(self) -> tuple[list[float], list[float]]:
        """Returns the learning rates and momenta that the teacher recommends, one of each for each of its T steps."""
        lr, momentum = self.stream.schedule()
        return lr.tolist(), momentum.tolist()

    def __len__(self) -> int:
        """Returns the number of items of one pass of this process, over all its workers."""
        steps = self._steps_per_process()
        return steps if self.batches else steps * self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields normalised images ``([B,] C, H, W)`` and labels ``([B,] classes)``, or class indices ``([B])``."""
        lesson = self.stream.for_learner(self.seed + int(self._epoch))
        for step in self._own_steps():
            with torch.no_grad():
                images, labels = lesson.batch(step)
            if self.labels == "index":
                labels = labels.argmax(dim=1)
            if self.batches:
                yield images, labels
            else:
                yield from zip(images, labels, strict=True)

    def _own_steps(self) -> list[int]:
        """Returns the steps of this process and worker."""
        worker, (rank, processes) = get_worker_info(), self.shard
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        turns = range(number, self._steps_per_process(), workers)
        return [(rank + processes * turn) % self.steps for turn in turns]

    def _steps_per_process(self) -> int:
        return math.ceil(self.steps / self.shard[1])
