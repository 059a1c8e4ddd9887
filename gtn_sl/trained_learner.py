"""A learner that has been trained, whatever on: its function, its parameters, and the statistics that it is evaluated with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_core.learner import Learner, Statistics


@dataclass(frozen=True)
class TrainedLearner:
    """A trained classifier.

    Attributes:
        learner: It as a function of its parameters.
        phi: These, shape ``(D,)``.
        statistics: What it is evaluated with.
    """

    learner: Learner
    phi: Tensor
    statistics: Statistics

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Returns what it makes of normalised images ``(N, C, H, W)``, shape ``(N, classes)``."""
        parts = [self.learner.apply(self.phi, part, self.statistics)[0] for part in images.split(1000)]
        return torch.cat(parts).float()

    def probabilities(self, images: Tensor) -> Tensor:
        """Returns what it takes normalised images ``(N, C, H, W)`` for, shape ``(N, classes)``."""
        return self.logits(images).softmax(dim=1)
