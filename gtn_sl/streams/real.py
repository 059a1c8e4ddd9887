"""Real images as a stream of batches: all of them, or as many as fit in the size of a teacher's file."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from gtn_core.device import send
from gtn_core.inner_optim import UnboundOptimizer
from gtn_core.inner_schedule import Schedule
from gtn_core.second_order import Batch
from gtn_core.seeding import Streams
from gtn_sl.data import AUGMENTATIONS, Split, TaskData, sample_batches
from gtn_sl.stream import Stream
from gtn_sl.streams.protocol import STREAMS, Control, ControlSetting


class RealData(Stream):
    """Real images and one-hot labels, different for every learner, with a schedule that can be meta-learned.

    Args:
        data: Gives normalisation and classes.
        split: Source of the images.
        steps: Number of inner steps, T.
        batch_size: Images per batch, B.
        optimizer: The inner optimizer.
        schedule: Learning rate and momentum of each step.
        subset: Number of images that each learner sees, drawn at random; ``None`` for all.
        augmentation: Augmentation of each batch, a name in ``gtn_sl.data.AUGMENTATIONS``.
    """

    def __init__(
        self,
        data: TaskData,
        split: Split,
        steps: int,
        batch_size: int,
        optimizer: UnboundOptimizer,
        schedule: Schedule,
        *,
        subset: int | None = None,
        augmentation: str = "none",
    ) -> None:
        super().__init__()
        self.data, self.split, self.subset = data, split, subset
        self.steps, self.batch_size, self.optimizer = steps, batch_size, optimizer
        self.inner_schedule, self.augment = schedule, AUGMENTATIONS[augmentation]
        self._seed = 0
        self._images = self._taught = torch.empty(0)

    def for_learner(self, seed: int) -> Self:
        """Returns the same stream with the batches of the learner ``seed``, all on the schedule's device."""
        # a stream of its own: the seed itself draws the learner's initial weights
        random, split = Streams(seed).torch("stream-batches"), self.split
        if self.subset is not None and self.subset < len(split):
            chosen = torch.randperm(len(split), generator=random)[: self.subset]
            split = Split(split.images[chosen], split.labels[chosen])
        lesson = copy.copy(self)  # shares the schedule
        lesson._seed = seed
        images, labels = sample_batches(split, self.steps, self.batch_size, random)
        device = self.inner_schedule.log_lr.device
        lesson._images, lesson._taught = send(images, device), send(self._probabilities(labels), device)
        return lesson

    def batch(self, step: int) -> Batch:
        """See ``Teacher.batch``."""
        images, (black, _) = self.data.normalise(self._images[step]), self.data.task.value_range
        images = self.augment(images, Streams(self._seed).torch("stream-augmentation", step), black)
        return images, self._taught[step]

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        lr, momentum = self.inner_schedule()
        return lr, momentum

    def _probabilities(self, labels: Tensor) -> Tensor:
        """Returns the probabilities to teach, ``(T, B, classes)``, from the split's labels ``(T, B)``."""
        return F.one_hot(labels, self.data.task.classes).float()


@STREAMS.register("real")
class RealControl(Control):
    """All training images, augmented like the real images of the teacher's own meta-training."""

    def title(self, setting: ControlSetting) -> str:
        """See ``Control.title``."""
        return f"real data, {setting.augmentation}" if setting.augmentation != "none" else "real data"

    def make(self, setting: ControlSetting) -> Stream:
        """See ``Control.make``."""
        return real_stream(setting, setting.data.train)


@STREAMS.register("subset")
class SubsetControl(Control):
    """A random subset of the training images for each learner, as many as fit in the size of the teacher's file."""

    def title(self, setting: ControlSetting) -> str:
        """See ``Control.title``."""
        return f"random subset of {_count(setting)} real images"

    def make(self, setting: ControlSetting) -> Stream:
        """See ``Control.make``."""
        return real_stream(setting, setting.data.train, subset=_count(setting))


def _count(setting: ControlSetting) -> int:
    return images_of_equal_storage(setting.file.path.stat().st_size, setting.data)


def real_stream(setting: ControlSetting, split: Split, *, subset: int | None = None) -> RealData:
    """Returns real images in as many batches of the same size as the teacher's, with the first of the schedules."""
    inner = setting.file.config.inner
    return RealData(
        setting.data,
        split,
        inner.steps,
        inner.batch_size,
        setting.file.teacher.optimizer,
        setting.schedules[0],
        subset=subset,
        augmentation=setting.augmentation,
    )


def images_of_equal_storage(teacher_bytes: int, data: TaskData) -> int:
    """Returns how many real images fit in the size of a teacher's file, at one byte per value and one per label.

    The result is at least the number of classes and at most the number of training images.
    """
    image_bytes = data.train.images[0].numel() + 1
    return max(data.task.classes, min(len(data.train), teacher_bytes // image_bytes))
