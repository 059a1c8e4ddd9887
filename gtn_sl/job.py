"""Supervised meta-training as a job of the outer loop: its learners, its real batches, and how a teacher is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from gtn_core.device import send
from gtn_core.distributed import SingleProcess, World, share_out
from gtn_core.estimators import Episode, Teacher
from gtn_core.learner import Learner
from gtn_core.meta_loss import BatchedLoss
from gtn_core.outer_job import Validation
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.second_order import InnerLoss
from gtn_core.seeding import Streams
from gtn_sl.config import MetaTrainConfig
from gtn_sl.data import AUGMENTATIONS, Split, TaskData
from gtn_sl.evaluation import Evaluation, evaluate_stream, refuse_divergence
from gtn_sl.growth import inner_steps
from gtn_sl.learners.pool import LearnerPool, pool_families
from gtn_sl.losses import inner_loss, real_loss
from gtn_sl.provenance import Provenance
from gtn_sl.reports.pictures import batch_grid
from gtn_sl.reports.plots import schedule_picture
from gtn_sl.teacher import SupervisedTeacher
from gtn_sl.teacher_file import save_teacher


class SupervisedJob:
    """Episodes and validation of one supervised meta-training; see ``gtn_core.outer_job.Job``.

    Args:
        config: All settings.
        data: The real task's data.
        teacher: The teacher to train.
        plan: How steps are computed.
        run: Run folder, where the best teacher is stored.
        provenance: Returns how the teacher was made so far, for its file; ``None`` stores nothing.
        world: The processes that train together; validation divides its learners among them.
    """

    def __init__(
        self,
        config: MetaTrainConfig,
        data: TaskData,
        teacher: SupervisedTeacher,
        plan: StepPlan,
        run: RunFolder,
        provenance: Callable[[], Provenance] | None = None,
        world: World | None = None,
    ) -> None:
        self.provenance, self.world = provenance, world or SingleProcess()
        self.config, self.data, self.teacher, self.plan, self.run = config, data, teacher, plan, run
        self.device = torch.device(config.compute.device)
        self.streams = Streams(config.seed)
        learners = config.learner
        self.pool = LearnerPool(learners, pool_families(learners), data.task, self.streams, plan, self.device)
        self.judges = config.judges
        self.train = data.train.to(self.device)
        self._last: tuple[Learner, InnerLoss] | None = None
        self.augment = AUGMENTATIONS[config.meta_loss.augmentation]

    def episode(self, iteration: int, progress: float) -> Episode:
        """See ``Job.episode``."""
        name = self.pool.member(iteration, progress).describe()
        learner, phi = self.pool.draw(iteration, progress)
        settings, steps = self.config.meta_loss, inner_steps(self.config.inner, progress)
        sizes = settings.sizes(steps)
        weight = settings.weight + progress * (settings.final_weight - settings.weight)
        weights = {step: 1.0 if step == steps else weight / (len(sizes) - 1) for step in sizes}
        chosen = self._real_batches(sizes, iteration)

        return Episode(
            self._inner_loss(learner),
            self.teacher.optimizer.bind(learner, phi),
            phi,
            BatchedLoss(real_loss(learner, self.plan), chosen),
            weights,
            lesson=self.streams.seed("lesson", iteration),
            name=name,
            plan=self.plan,
            teacher_loss=self._autoencoder_loss(iteration) if settings.autoencoder else None,
        )

    def _inner_loss(self, learner: Learner) -> InnerLoss:
        """Returns a learner's loss; the same object for the last learner: steps may be compiled or captured for it."""
        if self._last is None or self._last[0] is not learner:
            self._last = learner, inner_loss(learner, self.plan, closed_loop=self.teacher.closed_loop)
        return self._last[1]

    def _autoencoder_loss(self, iteration: int) -> Callable[[Teacher], Tensor]:
        """Returns a function that computes the weighted autoencoder loss on a batch of unaugmented training images."""
        random = self.streams.torch("autoencoder-batch", iteration)
        chosen = send(torch.randint(len(self.train), (self.config.inner.batch_size,), generator=random), self.device)
        images, labels = self.data.normalise(self.train.images[chosen]), self.train.labels[chosen]

        def loss(teacher: Teacher) -> Tensor:
            assert isinstance(teacher, SupervisedTeacher)
            return self.config.meta_loss.autoencoder * teacher.reconstruction_loss(images, labels)

        return loss

    def _real_batches(self, sizes: Mapping[int, int], iteration: int) -> dict[int, tuple[Tensor, Tensor]]:
        """Returns normalised, augmented training images ``(N, C, H, W)`` and their labels, with N from ``sizes``."""
        random, variation = (self.streams.torch(name, iteration) for name in ("meta-batch", "augmentation"))
        drawn = [torch.randint(len(self.train), (size,), generator=random) for size in sizes.values()]
        places = send(torch.cat(drawn), self.device).split(list(sizes.values()))  # one copy, since each has its cost
        batches, (black, _) = {}, self.data.task.value_range
        for step, chosen in zip(sizes, places, strict=True):
            images = self.augment(self.data.normalise(self.train.images[chosen]), variation, black)
            batches[step] = images, self.train.labels[chosen]
        return batches

    def validate(self, before_learner: Callable[[], None]) -> Validation:
        """See ``Job.validate``."""
        results = self.judge(self.data.validation, before_learner)
        first, last = (self.teacher.batch(step)[0].detach() for step in (0, self.teacher.steps - 1))
        pictures = {
            "inner/schedule": schedule_picture(self.teacher),
            "batches/first_step": batch_grid(self.data.task.denormalise(first.cpu()), self.data.task.classes),
            "batches/last_step": batch_grid(self.data.task.denormalise(last.cpu()), self.data.task.classes),
        }
        return Validation(float(np.mean([result.mean for result in results])), _accuracies(results), pictures)

    def judge(self, split: Split, before_learner: Callable[[], None] = lambda: None) -> list[Evaluation]:
        """Trains the validation learners on the current teacher and tests them on a split of real data.

        Args:
            split: The real data.
            before_learner: See ``Job.validate``.

        Raises:
            DivergedError: Every learner diverged.
        """
        settings = self.config.validation
        part = Split(split.images[: settings.images], split.labels[: settings.images])
        seeds = [self.streams.seed("validation-learner", index) for index in range(settings.learners)]

        def judged(learner: tuple[str, int]) -> tuple[float, int, str]:
            name, seed = learner
            one = evaluate_stream("teacher", self.teacher, name, self.data, part, [seed], plan=self.plan)
            return one.mean, one.diverged, one.failure

        learners = [(name, seed) for name in self.judges for seed in seeds]
        found = share_out(self.world, learners, judged, before_round=before_learner)
        results = [_joined(name, found[i * len(seeds) :][: len(seeds)]) for i, name in enumerate(self.judges)]
        refuse_divergence(results)
        return results

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """See ``Job.save_teacher``."""
        metrics = {**validation.metrics, "iteration": iteration, "learner": " ".join(self.judges)}
        made = self.provenance() if self.provenance else None
        save_teacher(self.run.teacher, self.teacher, self.config, metrics, made)


def _joined(architecture: str, learners: Sequence[tuple[float, int, str]]) -> Evaluation:
    """Combines the results of one architecture's learners, wherever they were trained."""
    final, diverged, failures = zip(*learners, strict=True)
    failure = next(filter(None, failures), "")
    none = np.empty((len(final), 0))
    return Evaluation("teacher", architecture, np.array(final), [], none, 0, sum(diverged), failure)


def _accuracies(results: Sequence[Evaluation]) -> dict[str, float]:
    """Returns what to log: the accuracy over all learners and, if there are several architectures, that of each.

    The spread is over fresh learners of one architecture; for several, the root of the mean variance.
    """
    final = np.concatenate([result.final for result in results])
    metrics = {
        "real/validation_accuracy": float(np.mean([result.mean for result in results])),
        "real/validation_accuracy_spread": float(np.sqrt(np.mean([result.spread**2 for result in results]))),
        "real/validation_accuracy_minimum": float(final.min()),
    }
    if len(results) > 1:
        metrics |= {f"real/validation_accuracy/{result.architecture}": result.mean for result in results}
    return metrics
