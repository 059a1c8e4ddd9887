"""What a ranker is: settings, something to prepare once, and a judgement of one architecture at a time."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self

from gtn_core.registry import Registry
from gtn_sl.data import ImageTask, Split, TaskData, find_task, load_task
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.spaces import Space
from gtn_sl.nas.specification import specify


@dataclass(frozen=True)
class Setting:
    """Where architectures are judged.

    Attributes:
        space: Where they come from.
        task: The real task.
        load: Returns its images, always the same object; see ``data``.
        images: Validation images that an accuracy is taken on, at most.
        seed: Root of what a ranker draws when it prepares.
        keep: Folder that a ranker may keep in what it takes long to prepare; it is this ranker's own. ``None`` keeps nothing.
    """

    space: Space
    task: ImageTask
    load: Callable[[], TaskData]
    images: int = 5000
    seed: int = 0
    keep: Path | None = None

    @classmethod
    def of(cls, space: Space, task: str, data_dir: Path | None = None, *, images: int = 5000, seed: int = 0) -> Self:
        """Describes where architectures are judged by the name of the task, whose images are loaded when they are first read.

        Raises:
            UsageError: The task is unknown.
        """
        return cls(space, find_task(task), functools.cache(lambda: load_task(task, data_dir)), images, seed)

    @property
    def data(self) -> TaskData:
        """The real task's images. A ranker may read the train and the validation split, never the test split.

        Raises:
            GTNError: They cannot be read or downloaded.
        """
        return self.load()

    def judged_by(self) -> Split:
        """Returns the validation images that accuracies are taken on."""
        validation = self.data.validation
        return Split(validation.images[: self.images], validation.labels[: self.images])

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Returns so many normalised training images ``(N, C, H, W)`` and their labels ``(N,)``, drawn by ``seed``."""
        train = self.data.train
        chosen = torch.randint(len(train), (count,), generator=torch.Generator().manual_seed(seed))
        return self.data.normalise(train.images[chosen]), train.labels[chosen]

    def different(self, count: int, seed: int) -> Tensor:
        """Returns the images of ``batch``, but for repeats, in whose place others are drawn; all where there are no more."""
        train, random = self.data.train, torch.Generator().manual_seed(seed)
        chosen: dict[int, None] = {}
        while len(chosen) < min(count, len(train)):
            drawn = torch.randint(len(train), (count - len(chosen),), generator=random)
            chosen |= dict.fromkeys(drawn.tolist())
        return self.data.normalise(train.images[list(chosen)])


@dataclass(frozen=True)
class Score:
    """How good an architecture looks.

    Attributes:
        value: Higher is better; only the order counts.
        steps: Training steps that it took to find out.
        images: Images that were seen.
        cpu_seconds: What it cost, where that is not all the time that the ranker was at work.
    """

    value: float
    steps: int = 0
    images: int = 0
    cpu_seconds: float | None = None


Judge = Callable[[Candidate, int], Score]
"""``(architecture, seed) -> score``: a function of its arguments; seeds differ in initial weights and in what is drawn."""


class Ranker(abc.ABC):
    """One way to judge architectures; its subclasses are configs, whose fields are its settings."""

    reads_images: ClassVar[bool] = True
    """Whether it looks at the task's images; what does not can judge where they are not at hand."""
    retries: ClassVar[bool] = False
    """Whether ``rank`` judges again what failed on an earlier day, since the reason may be gone without anyone telling."""

    @property
    def name(self) -> str:
        """Its specification, which ``find_ranker`` reads."""
        return specify(RANKERS, self)

    @abc.abstractmethod
    def prepare(self, setting: Setting) -> Judge:
        """Does once what serves all architectures, e.g. reads a teacher.

        Raises:
            GTNError: It cannot judge here, e.g. since its teacher has too few steps.
        """

    def check(self, setting: Setting) -> None:
        """Refuses a setting that it cannot judge in, before it prepares: one whose images, where it reads any, are not to be had.

        Raises:
            GTNError: It cannot judge here, e.g. since its teacher teaches another task, or there are no images.
        """
        if self.reads_images:
            setting.load()

    def identity(self) -> dict[str, Any]:
        """Returns what tells its scores from others': JSON values. Those of a file depend on what is in it, too."""
        return {"ranker": self.name}

    def paid_before(self) -> float | None:
        """Returns the CPU-seconds that were spent before, e.g. on a teacher's meta-training; ``None`` where nobody knows."""
        return 0.0


RANKERS: Registry[type[Ranker]] = Registry("ranker")
