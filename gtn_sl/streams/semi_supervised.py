"""The semi-supervised control: few labelled real images, and many labelled by a classifier trained on the few."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_core.inner_optim import UnboundOptimizer
from gtn_core.inner_schedule import Schedule
from gtn_core.planning.plan import StepPlan
from gtn_sl.data import Split, TaskData
from gtn_sl.data.splits import stratified_indices
from gtn_sl.stream import Stream
from gtn_sl.streams.protocol import STREAMS, Control, ControlSetting
from gtn_sl.streams.real import RealData
from gtn_sl.streams.real_classifier import RealTraining, train_on_real

LABELLED = 0.1
"""Share of the training images whose labels are used."""


class SoftlyLabelled(RealData):
    """Real images, each taught with its own label distribution.

    Args:
        data: Gives normalisation and classes.
        images: uint8, shape ``(N, C, H, W)``.
        probabilities: Their label distributions, shape ``(N, classes)``.
        steps: Number of inner steps, T.
        batch_size: Images per batch, B.
        optimizer: The inner optimizer.
        schedule: Learning rate and momentum of each step.
        augmentation: See ``RealData``.
    """

    def __init__(
        self,
        data: TaskData,
        images: Tensor,
        probabilities: Tensor,
        steps: int,
        batch_size: int,
        optimizer: UnboundOptimizer,
        schedule: Schedule,
        *,
        augmentation: str = "none",
    ) -> None:
        rows = Split(images, torch.arange(len(images)))  # the row of its distribution in place of each label
        super().__init__(data, rows, steps, batch_size, optimizer, schedule, augmentation=augmentation)
        self.probabilities = probabilities

    def _probabilities(self, labels: Tensor) -> Tensor:
        return self.probabilities[labels]


def label_the_rest(
    data: TaskData,
    learner: str,
    seed: int,
    plan: StepPlan,
    training: RealTraining | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Trains a classifier on the labelled part of the training images and labels the rest with it.

    Args:
        data: The task; a class-stratified part of its training split, the share ``LABELLED``, counts as labelled.
        learner: The classifier's architecture.
        seed: Seed of the classifier.
        plan: How steps are computed.
        training: How the classifier is trained.
        device: Device that it is trained on and labels on.

    Returns:
        All training images, bytes ``(N, C, H, W)``, and a label distribution for each, ``(N, classes)``, both on the
        device of the task's images: one-hot where the label is used, the classifier's where it is not.

    Raises:
        DivergedError: The classifier's loss is not finite.
    """
    train, classes = data.train, data.task.classes
    count = min(max(classes, round(LABELLED * len(train))), len(train) - 1)
    labelled = torch.from_numpy(stratified_indices(train.labels.numpy(), count, f"{data.task.split_name}/labelled", 0))
    few = Split(train.images[labelled], train.labels[labelled])
    classifier = train_on_real(data, few.to(device), learner, seed, training or RealTraining(), plan)
    parts = [classifier.probabilities(data.normalise(part.to(device))) for part in train.images.split(1000)]
    probabilities = torch.cat(parts).to(train.images.device)
    probabilities[labelled] = F.one_hot(few.labels, classes).float()
    return train.images, probabilities


@STREAMS.register("semi-supervised")
class SemiSupervisedControl(Control):
    """All training images: a tenth with their labels, the rest softly labelled by a classifier trained on that tenth."""

    def title(self, setting: ControlSetting) -> str:
        """See ``Control.title``."""
        return f"real data, {100 * LABELLED:.0f}% labelled"

    def make(self, setting: ControlSetting) -> Stream:
        """See ``Control.make``."""
        inner, data = setting.file.config.inner, setting.data
        seed = setting.streams.seed("semi-supervised-classifier")
        device = setting.schedules[0].log_lr.device
        images, probabilities = label_the_rest(data, setting.learner, seed, setting.plan, device=device)
        return SoftlyLabelled(
            data,
            images,
            probabilities,
            inner.steps,
            inner.batch_size,
            setting.file.teacher.optimizer,
            setting.schedules[0],
            augmentation=setting.augmentation,
        )
