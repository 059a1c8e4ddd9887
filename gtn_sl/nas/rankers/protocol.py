"""The ranker protocol: settings, a preparation for all architectures, and a judgement of one architecture at a time."""

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
from gtn_core.seeding import Streams
from gtn_sl.data import ImageTask, Split, TaskData, find_task, load_task
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.spaces import Space
from gtn_sl.nas.specification import specify


@dataclass(frozen=True)
class Setting:
    """The context in which architectures are judged.

    Attributes:
        space: The search space.
        task: The real task.
        load: Returns the task's images, always the same object; see ``data``.
        images: Maximum number of validation images on which an accuracy is measured.
        seed: Root seed of a ranker's preparation.
        keep: The ranker's own folder for what is expensive to prepare; ``None`` keeps nothing.
    """

    space: Space
    task: ImageTask
    load: Callable[[], TaskData]
    images: int = 5000
    seed: int = 0
    keep: Path | None = None

    @classmethod
    def of(
        cls, space: Space, task: str, data_dir: str | Path | None = None, *, images: int = 5000, seed: int = 0
    ) -> Self:
        """Creates a setting from the name of a task, whose images are loaded on first access.

        Raises:
            UsageError: The task is unknown.
        """
        return cls(space, find_task(task), functools.cache(lambda: load_task(task, data_dir)), images, seed)

    @property
    def data(self) -> TaskData:
        """The real task's images. A ranker may read the train and validation splits, but never the test split.

        Raises:
            GTNError: The images cannot be read or downloaded.
        """
        return self.load()

    def judged_by(self) -> Split:
        """Returns the validation images on which accuracies are measured."""
        validation = self.data.validation
        return Split(validation.images[: self.images], validation.labels[: self.images])

    def batch(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draws ``count`` normalised training images ``(N, C, H, W)`` and their labels ``(N,)``, with replacement."""
        train = self.data.train
        chosen = torch.randint(len(train), (count,), generator=_drawing(seed))
        return self.data.normalise(train.images[chosen]), train.labels[chosen]

    def different(self, count: int, seed: int) -> Tensor:
        """Returns the images of ``batch``, with repeats redrawn so that all differ; at most the whole train split."""
        train, random = self.data.train, _drawing(seed)
        chosen: dict[int, None] = {}
        while len(chosen) < min(count, len(train)):
            drawn = torch.randint(len(train), (count - len(chosen),), generator=random)
            chosen |= dict.fromkeys(drawn.tolist())
        return self.data.normalise(train.images[list(chosen)])


def _drawing(seed: int) -> torch.Generator:
    """Returns the generator that draws images for a judgement, whose seed itself draws the initial weights."""
    return Streams(seed).torch("ranker-batch")


@dataclass(frozen=True)
class Score:
    """A judgement of an architecture.

    Attributes:
        value: The score; higher is better, and only the order matters.
        steps: Training steps taken.
        images: Images seen.
        cpu_seconds: CPU-seconds to report as the cost; ``None`` for all that the judgement took.
    """

    value: float
    steps: int = 0
    images: int = 0
    cpu_seconds: float | None = None


Judge = Callable[[Candidate, int], Score]
"""``(architecture, seed) -> score``, a function of its arguments; the seed decides initial weights and random draws."""


class Ranker(abc.ABC):
    """Base class of rankers; subclasses are configs, whose fields are the settings."""

    reads_images: ClassVar[bool] = True
    """Whether the ranker reads the task's images; if not, it works without them."""
    retries: ClassVar[bool] = False
    """Whether failures of earlier runs are judged again, since their cause may have been removed undetectably."""

    @property
    def name(self) -> str:
        """Its specification, as accepted by ``find_ranker``."""
        return specify(RANKERS, self)

    @abc.abstractmethod
    def prepare(self, setting: Setting) -> Judge:
        """Does what is needed once for all architectures, e.g. reads a teacher, and returns the judge.

        Raises:
            GTNError: The ranker does not support this setting, e.g. because its teacher has too few steps.
        """

    def check(self, setting: Setting) -> None:
        """Checks, before preparation, that the ranker supports a setting; by default, that any images it reads exist.

        Raises:
            GTNError: It does not, e.g. because its teacher teaches another task, or there are no images.
        """
        if self.reads_images:
            setting.load()

    def identity(self) -> dict[str, Any]:
        """Returns what its scores depend on as JSON values, including the content of any file that it reads."""
        return {"ranker": self.name}

    def paid_before(self) -> float | None:
        """Returns the CPU-seconds spent beforehand, e.g. on a teacher's meta-training; ``None`` if unknown."""
        return 0.0


RANKERS: Registry[type[Ranker]] = Registry("ranker")
