"""The labels of the synthetic batches: what the generator is told and what the learner is taught."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.device import send
from gtn_core.registry import Registry
from gtn_sl.lessons import Lesson, Places


class Labels(nn.Module):
    """Base class of all kinds of labels: the classes in turn, unless a kind says otherwise.

    Sample b of every batch is of class ``b mod classes``. If samples are reused, or a batch has fewer places than there
    are classes, sample m of the table is of class ``m mod classes``.

    Args:
        places: The places of a lesson: T, B and M.
        classes: Number of classes.

    Attributes:
        classes_of_samples: Class of each sample, int64, shape ``(M,)``.
    """

    belong_to_samples: ClassVar[bool] = False
    """Whether each sample has its own label."""
    must_be_told: ClassVar[bool] = False
    """Whether the generator must be told the class, since nothing else ties an image to its class."""
    from_generator: ClassVar[bool] = False
    """Whether the generator makes them."""
    is_learned: ClassVar[bool] = False
    """Whether they have parameters of their own."""

    classes_of_batch: Tensor
    classes_of_samples: Tensor
    anchor: Tensor

    def __init__(self, places: Places, classes: int) -> None:
        super().__init__()
        self.places, self.classes = places, classes
        self.register_buffer("classes_of_batch", torch.arange(places.table[-1]) % classes)
        if len(self.classes_of_batch) < classes:
            every = torch.arange(places.samples) % classes
        else:
            every = self.classes_of_batch.repeat(places.samples // places.table[-1])
        self.register_buffer("classes_of_samples", every, persistent=False)
        self.register_buffer("anchor", torch.empty(0), persistent=False)  # carries device and dtype

    def one_hot(self, classes: Tensor) -> Tensor:
        """Returns classes ``(n,)`` as distributions, shape ``(n, classes)``."""
        return F.one_hot(classes, self.classes).to(self.anchor.dtype)

    def told(self, lesson: Lesson, step: int) -> Tensor:
        """Returns what the generator is told at one inner step, one-hot, shape ``(B, classes)``."""
        return self.one_hot(lesson.rows(self.classes_of_samples, step))

    def forward(self, lesson: Lesson, step: int, generated: Tensor | None = None) -> Tensor:
        """Returns the probabilities that the learner is taught at one inner step.

        Args:
            lesson: The learner's lesson: which sample is where.
            step: Inner step.
            generated: Labels from the generator, shape ``(B, classes)``, if it makes any.

        Returns:
            Probabilities, shape ``(B, classes)``.
        """
        return self.told(lesson, step)


LABELS: Registry[type[Labels]] = Registry("label kind")


@LABELS.register("one-hot")
class OneHotLabels(Labels):
    """The learner is taught the class that the generator is told."""


@LABELS.register("random")
class RandomLabels(Labels):
    """One-hot labels whose classes are drawn at random for every learner and step."""

    must_be_told: ClassVar[bool] = True

    def told(self, lesson: Lesson, step: int) -> Tensor:
        """See ``Labels.told``."""
        size = (self.places.batch_size,)
        drawn = torch.randint(self.classes, size, generator=lesson.random("labels", step))
        return self.one_hot(send(drawn, self.anchor.device))


@LABELS.register("soft")
class SoftLabels(Labels):
    """Each sample's label is a meta-learned distribution, initially with nearly all its mass on the sample's class.

    It is the softmax of learned logits, so that it stays a distribution.
    """

    belong_to_samples: ClassVar[bool] = True
    is_learned: ClassVar[bool] = True

    def __init__(self, places: Places, classes: int, *, start: float = 0.95) -> None:
        super().__init__(places, classes)
        margin = torch.logit(torch.tensor(start)) + torch.log(torch.tensor(classes - 1.0))
        self.logits = nn.Parameter(margin * self.one_hot(self.classes_of_samples).view(*places.table, classes))

    def forward(self, lesson: Lesson, step: int, generated: Tensor | None = None) -> Tensor:
        """See ``Labels.forward``."""
        return lesson.rows(self.logits.flatten(0, -2), step).softmax(dim=-1)


@LABELS.register("generated")
class GeneratedLabels(Labels):
    """The generator makes the label together with the image."""

    from_generator: ClassVar[bool] = True

    def forward(self, lesson: Lesson, step: int, generated: Tensor | None = None) -> Tensor:
        """See ``Labels.forward``."""
        assert generated is not None
        return generated
