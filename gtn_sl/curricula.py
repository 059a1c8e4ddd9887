"""Curricula: what noise the generator gets, composed of a kind of noise (here), an order and, in a closed loop, feedback.

Orders are in ``gtn_sl.lessons``, feedback is in ``gtn_sl.closed_loop``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gtn_core.device import send
from gtn_core.registry import Registry
from gtn_sl.closed_loop import Feedback
from gtn_sl.lessons import Lesson, Order, Places, all_shuffled, backwards, given, shuffled_batches

START_SIGMA = 0.1
"""Standard deviation that Gaussian noise starts with, where its means have 1."""


class Noise(nn.Module):
    """Base of all kinds of noise: a vector for each place of a lesson, handed out a step at a time.

    Args:
        places: T, B and M.
        latent: Length of a noise vector.
    """

    has_samples: ClassVar[bool] = True
    """Whether there is a table of samples, so that an image (and a label of its own) can be learned for each."""
    is_learned: ClassVar[bool] = True
    """Whether anything of it is meta-learned."""

    anchor: Tensor

    def __init__(self, places: Places, latent: int) -> None:
        super().__init__()
        self.places, self.latent = places, latent
        self.register_buffer("anchor", torch.empty(0), persistent=False)  # knows device and dtype

    def forward(self, lesson: Lesson, step: int) -> Tensor:
        """Returns the noise of one inner step of a lesson, shape ``(B, latent)``."""
        raise NotImplementedError

    def stored(self) -> Tensor:
        """Returns the vector that is stored for each sample, a view of shape ``(M, latent)``."""
        raise NotImplementedError

    def _drawn(self, lesson: Lesson, step: int) -> Tensor:
        size = (self.places.batch_size, self.latent)
        drawn = torch.randn(size, generator=lesson.random("noise", step))
        return send(drawn.to(self.anchor.dtype), self.anchor.device)


class LearnedNoise(Noise):
    """Every noise vector is learned."""

    def __init__(self, places: Places, latent: int) -> None:
        super().__init__(places, latent)
        self.noise = nn.Parameter(torch.randn(*places.table, latent))

    def forward(self, lesson: Lesson, step: int) -> Tensor:
        """See ``Noise.forward``."""
        return lesson.rows(self.stored(), step)

    def stored(self) -> Tensor:
        """See ``Noise.stored``."""
        return self.noise.flatten(0, -2)


class FixedNoise(LearnedNoise):
    """Noise vectors that stay as they were drawn when the teacher was made."""

    is_learned: ClassVar[bool] = False

    def __init__(self, places: Places, latent: int) -> None:
        super().__init__(places, latent)
        self.noise.requires_grad_(False)


class GaussianNoise(Noise):
    """A learned mean and standard deviation for every sample; each learner gets draws of its own."""

    def __init__(self, places: Places, latent: int) -> None:
        super().__init__(places, latent)
        self.mean = nn.Parameter(torch.randn(*places.table, latent))
        self.log_sigma = nn.Parameter(torch.full((*places.table, latent), math.log(START_SIGMA)))

    def forward(self, lesson: Lesson, step: int) -> Tensor:
        """See ``Noise.forward``."""
        sigma = lesson.rows(self.log_sigma.flatten(0, -2), step).exp()
        return lesson.rows(self.stored(), step) + sigma * self._drawn(lesson, step)

    def stored(self) -> Tensor:
        """Returns the means; see ``Noise.stored``."""
        return self.mean.flatten(0, -2)


class FreshNoise(Noise):
    """Standard normal noise, other for every learner and step, without end."""

    has_samples: ClassVar[bool] = False
    is_learned: ClassVar[bool] = False

    def forward(self, lesson: Lesson, step: int) -> Tensor:
        """See ``Noise.forward``."""
        return self._drawn(lesson, step)


@dataclass(frozen=True)
class Curriculum:
    """What a curriculum is composed of.

    Attributes:
        noise: Which noise there is.
        order: Which of it comes when.
        feedback: What moves it by the learner's progress; ``None`` in an open loop.
    """

    noise: type[Noise]
    order: Order = given
    feedback: type[Feedback] | None = None


CURRICULA: Registry[Curriculum] = Registry("curriculum")
for _name, _curriculum in {
    "full": Curriculum(LearnedNoise),
    "reversed": Curriculum(LearnedNoise, backwards),
    "shuffled-batches": Curriculum(LearnedNoise, shuffled_batches),
    "all-shuffled": Curriculum(LearnedNoise, all_shuffled),
    "random-fixed": Curriculum(FixedNoise),
    "gaussian": Curriculum(GaussianNoise),
    "none": Curriculum(FreshNoise),
    "closed-loop": Curriculum(LearnedNoise, feedback=Feedback),
}.items():
    CURRICULA.register(_name)(_curriculum)
