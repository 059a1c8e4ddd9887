"""Curricula: which noise the generator gets. Each has a kind of noise (here), an order and, in a closed loop, feedback.

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
"""Initial standard deviation of Gaussian noise; its means are drawn with standard deviation 1."""


class Noise(nn.Module):
    """Base class of all kinds of noise: a vector for each place of a lesson, returned one step at a time.

    Args:
        places: The places of a lesson: T, B and M.
        latent: Length of a noise vector.
    """

    has_samples: ClassVar[bool] = True
    """Whether there is a table of samples, so that an image (and its own label) can be learned for each."""
    is_learned: ClassVar[bool] = True
    """Whether any part of it is meta-learned."""

    anchor: Tensor

    def __init__(self, places: Places, latent: int) -> None:
        super().__init__()
        self.places, self.latent = places, latent
        self.register_buffer("anchor", torch.empty(0), persistent=False)  # carries device and dtype

    def forward(self, lesson: Lesson, step: int) -> Tensor:
        """Returns the noise of one inner step of a lesson, shape ``(B, latent)``."""
        raise NotImplementedError

    def stored(self) -> Tensor:
        """Returns the stored vector of each sample, a view of shape ``(M, latent)``; only if there are samples."""
        raise NotImplementedError

    def _drawn(self, lesson: Lesson, step: int) -> Tensor:
        size = (self.places.batch_size, self.latent)
        drawn = torch.randn(size, generator=lesson.random("noise", step))
        return send(drawn.to(self.anchor.dtype), self.anchor.device)


class LearnedNoise(Noise):
    """Noise whose vectors are all meta-learned."""

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
    """Noise vectors that stay as drawn when the teacher was created."""

    is_learned: ClassVar[bool] = False

    def __init__(self, places: Places, latent: int) -> None:
        super().__init__(places, latent)
        self.noise.requires_grad_(False)


class GaussianNoise(Noise):
    """A learned mean and standard deviation for each sample; each learner gets its own draws."""

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
    """Endless standard normal noise, different for every learner and step."""

    has_samples: ClassVar[bool] = False
    is_learned: ClassVar[bool] = False

    def forward(self, lesson: Lesson, step: int) -> Tensor:
        """See ``Noise.forward``."""
        return self._drawn(lesson, step)


@dataclass(frozen=True)
class Curriculum:
    """The parts of a curriculum.

    Attributes:
        noise: Kind of noise.
        order: Order in which samples come.
        feedback: Shifts the noise by the learner's progress; ``None`` for an open loop.
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
