"""The controls that stand beside every teacher: real data, a random real subset of equal storage, an untrained teacher."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from gtn_core.errors import DivergedError
from gtn_core.estimators import Backprop, Episode, EstimatorConfig
from gtn_core.inner_optim import InnerOptimizer, Schedule
from gtn_core.learner import Statistics
from gtn_core.plan import StepPlan
from gtn_core.second_order import Batch
from gtn_core.seeding import Streams
from gtn_sl.data import Split, TaskData, sample_batches
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss
from gtn_sl.stream import Stream


class RealData(Stream):
    """Real images and one-hot labels, other ones for every learner, with a schedule that can be meta-learned.

    Args:
        data: The task, for normalisation and classes.
        split: Where the images come from.
        steps: T.
        batch_size: B.
        optimizer: The inner optimizer.
        schedule: Learning rate and momentum of each step.
        subset: Every learner sees only so many images, drawn at random; ``None`` for all.
    """

    def __init__(
        self,
        data: TaskData,
        split: Split,
        steps: int,
        batch_size: int,
        optimizer: InnerOptimizer,
        schedule: Schedule,
        *,
        subset: int | None = None,
    ) -> None:
        super().__init__()
        self.data, self.split, self.subset = data, split, subset
        self.steps, self.batch_size, self.optimizer = steps, batch_size, optimizer
        self.inner_schedule = schedule
        self._images = self._labels = torch.empty(0)

    def for_learner(self, seed: int) -> Self:
        """Returns the same stream with the batches that belong to ``seed``."""
        random, split = torch.Generator().manual_seed(seed), self.split
        if self.subset is not None and self.subset < len(split):
            chosen = torch.randperm(len(split), generator=random)[: self.subset]
            split = Split(split.images[chosen], split.labels[chosen])
        lesson = copy.copy(self)  # shares the schedule
        lesson._images, lesson._labels = sample_batches(split, self.steps, self.batch_size, random)
        return lesson

    def batch(self, step: int) -> Batch:
        """See ``Teacher.batch``."""
        device = self.inner_schedule.log_lr.device
        labels = F.one_hot(self._labels[step], self.data.task.classes).float()
        return self.data.normalise(self._images[step].to(device)), labels.to(device)

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        lr, momentum = self.inner_schedule()
        return lr, momentum


def learn_schedule(
    stream: RealData,
    learner_name: str,
    streams: Streams,
    *,
    iterations: int,
    lr: float = 0.1,
    meta_batch: int = 1024,
    plan: StepPlan | None = None,
    after_iteration: Callable[[], object] | None = None,
) -> None:
    """Meta-learns the schedule of a real-data stream, in place, on the task's validation data.

    The same adjoint that trains a teacher gives the gradient, so that the control has the best learning rates and momenta that
    this method finds.

    Args:
        stream: The control.
        learner_name: The architecture that it will be judged on.
        streams: Source of randomness.
        iterations: Outer steps.
        lr: Adam's learning rate on log learning rates and logit momenta, a cosine to 0.
        meta_batch: Validation images per outer step.
        plan: How steps are computed.
        after_iteration: Called after each, e.g. to move a progress bar.
    """
    plan = plan or StepPlan()
    device, task = stream.inner_schedule.log_lr.device, stream.data.task
    family, judge = architecture(learner_name), stream.data.validation.to(device)
    optimizer = torch.optim.Adam(stream.inner_schedule.parameters(), lr=lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, iterations))
    estimator = Backprop(EstimatorConfig(plan=plan))
    for iteration in range(iterations):
        learner, phi = family.fresh(task, streams.seed("control-learner", iteration), plan.layout)
        random = streams.torch("control-meta-batch", iteration)
        chosen = torch.randint(len(judge), (min(meta_batch, len(judge)),), generator=random).to(device)

        def meta_loss(phi: Tensor, statistics: Statistics, step: int) -> Tensor:
            with plan.autocast(phi.device):
                logits, _ = learner.apply(phi, stream.data.normalise(judge.images[chosen]), statistics)  # noqa: B023
            return F.cross_entropy(logits.float(), judge.labels[chosen])  # noqa: B023

        lesson = streams.seed("control-batches", iteration)
        weights = {stream.steps: 1.0}
        episode = Episode(
            inner_loss(learner, plan), stream.optimizer, phi.to(device), meta_loss, weights, lesson=lesson
        )
        optimizer.zero_grad()
        try:
            estimator.estimate(stream, episode)
            if not all(torch.isfinite(p.grad).all() for p in stream.inner_schedule.parameters() if p.grad is not None):
                raise DivergedError("the meta-gradient is not finite")
            optimizer.step()
        except (
            DivergedError
        ):  # the rates are too high for this learner: the one direction in which there is no gradient
            with torch.no_grad():
                stream.inner_schedule.log_lr.sub_(0.2)
        decay.step()
        if after_iteration is not None:
            after_iteration()


def images_of_equal_storage(teacher_bytes: int, data: TaskData) -> int:
    """Returns how many real images, one byte a value and one for the label, take the room of a teacher's file."""
    image_bytes = data.train.images[0].numel() + 1
    return max(data.task.classes, min(len(data.train), teacher_bytes // image_bytes))
