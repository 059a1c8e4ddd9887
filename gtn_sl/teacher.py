"""The supervised teacher: generator, curriculum, labels and inner schedule in one module."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from typing_extensions import Self

from gtn_core.errors import UsageError
from gtn_core.second_order import Batch
from gtn_core.seeding import seeded
from gtn_sl.autoencoder import Encoder, reconstruction_loss
from gtn_sl.combinations import refuse_impossible
from gtn_sl.config import MetaTrainConfig
from gtn_sl.curricula import CURRICULA
from gtn_sl.data import ImageTask
from gtn_sl.generators import GENERATORS, GeneratorShape
from gtn_sl.labels import LABELS
from gtn_sl.lessons import ORDERS, Lesson, Places, draw_lesson
from gtn_sl.stream import Stream


class SupervisedTeacher(Stream):
    """Makes T batches of B synthetic images with soft labels, and the schedule for learning from them.

    Args:
        config: Gives its parts and their sizes, T, B and the inner optimizer.
        task: The real task; gives image shape, classes and range of values.

    Raises:
        UsageError: A name in the config is unknown, a value does not fit, or parts cannot be combined.
    """

    def __init__(self, config: MetaTrainConfig, task: ImageTask) -> None:
        super().__init__()
        refuse_impossible(config)
        settings, inner = config.teacher, config.inner
        self._multiples = settings
        self.task, self.steps, self.batch_size = task, inner.steps, inner.batch_size
        self.optimizer = inner.fresh_optimizer()
        self.places = Places(inner.steps, inner.batch_size, settings.samples)
        curriculum = CURRICULA[settings.curriculum]
        self.order, self.closed_loop = curriculum.order, curriculum.feedback is not None
        self._seed: int | None = None
        self._lesson: Lesson | None = None
        shape = GeneratorShape(
            task.image_shape,
            task.classes,
            latent=settings.latent,
            hidden=settings.hidden,
            channels=settings.channels,
            value_range=torch.stack(task.value_range),
            weight_norm=settings.weight_norm,
        )
        try:
            self.generator = GENERATORS[settings.generator](shape)
            self.curriculum = curriculum.noise(self.places, self.generator.latent)
            self.labels = LABELS[settings.labels](self.places, task.classes)
            self.inner_schedule = inner.fresh_schedule(learned=inner.learn_schedule)
            self.encoder = Encoder(shape) if config.meta_loss.autoencoder else None
            self.feedback = curriculum.feedback(self.generator.latent, task.classes) if curriculum.feedback else None
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"these settings do not describe a valid teacher: {error}") from error

    @property
    def lesson(self) -> Lesson:
        """The random choices of the batches: the lesson of the learner that this is for, or of seed 0."""
        return self._lesson or self._drawn(0)

    def for_learner(self, seed: int) -> Self:
        """See ``Teacher.for_learner``: the curriculum and the labels decide what is different for each learner."""
        view = copy.copy(self)  # shares the modules
        view._seed, view._lesson = seed, self._drawn(seed)
        return view

    def for_steps(self, steps: int) -> Self:
        """Returns the same teacher with another number of steps.

        Up to T, these are its first steps. Beyond T, fresh noise continues and a table of samples starts again, in the
        curriculum's order; the inner schedule keeps its last values.

        Raises:
            UsageError: ``steps`` is less than 1.
        """
        if steps < 1:
            raise UsageError(f"a teacher needs at least one step, not {steps}")
        view = copy.copy(self)
        view.steps = steps
        return view if self._seed is None else view.for_learner(self._seed)

    def with_order(self, order: str) -> Self:
        """Returns the same teacher with its samples in another order, a name of ``gtn_sl.lessons.ORDERS``."""
        view = copy.copy(self)
        view.order = ORDERS[order]
        return view if self._seed is None else view.for_learner(self._seed)

    def _drawn(self, seed: int) -> Lesson:
        return draw_lesson(self.places, self.order, seed, self.steps, self.inner_schedule.log_lr.device)

    def batch(self, step: int) -> Batch:
        """Returns normalised images ``(B, C, H, W)`` and label probabilities ``(B, classes)`` of one inner step.

        In a closed loop, it is the batch without feedback, not that of any learner.
        """
        return self._batch(step, None)

    def batch_for(self, step: int, progress: Tensor | None) -> Batch:
        """See ``Teacher.batch_for``; shapes as for ``batch``.

        Raises:
            ValueError: The loop is closed, but the inner loss returned no progress.
        """
        if self.closed_loop and progress is None and step:
            raise ValueError("a closed-loop teacher needs the learner's progress: inner_loss(..., closed_loop=True)")
        return self._batch(step, progress)

    def _batch(self, step: int, progress: Tensor | None) -> Batch:
        lesson = self.lesson
        noise, told = self.curriculum(lesson, step), self.labels.told(lesson, step)
        if self.feedback is not None and progress is not None:
            noise = noise + self.feedback(noise, told, progress)
        images, labels = self.generator(noise, told)
        return images, self.labels(lesson, step, labels)

    def schedule(self) -> tuple[Tensor, Tensor]:
        """See ``Teacher.schedule``."""
        lr, momentum = self.inner_schedule()
        if self.steps == len(lr):
            return lr, momentum
        held = torch.arange(self.steps, device=lr.device).clamp(max=len(lr) - 1)
        return lr[held], momentum[held]

    def reconstruction_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Returns the autoencoder loss on normalised real images ``(B, C, H, W)`` with labels ``(B,)``."""
        assert self.encoder is not None
        return reconstruction_loss(self.generator, self.encoder(images), self.labels.one_hot(labels), images)

    def parameter_groups(self) -> list[tuple[float, list[nn.Parameter]]]:
        """See ``Teacher.parameter_groups``."""
        return [
            (1.0, list(self.generator.parameters())),
            (self._multiples.noise_lr, list(self.curriculum.parameters())),
            (self._multiples.labels_lr, list(self.labels.parameters())),
            (self._multiples.schedule_lr, list(self.inner_schedule.parameters())),
            *((1.0, list(part.parameters())) for part in (self.encoder, self.feedback) if part is not None),
        ]

    def parameter_count(self) -> int:
        """Returns the number of parameters, meta-learned or fixed."""
        return sum(p.numel() for p in self.parameters())


def seeded_teacher(config: MetaTrainConfig, task: ImageTask, seed: int) -> SupervisedTeacher:
    """Builds a teacher whose initial parameters are determined by ``seed``."""
    with seeded(seed):
        return SupervisedTeacher(config, task)
