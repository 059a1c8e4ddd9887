"""A trained learner: its function, its parameters, and the statistics that it is evaluated with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gtn_core.learner import Learner, Statistics


@dataclass(frozen=True)
class TrainedLearner:
    """A trained classifier.

    Attributes:
        learner: The classifier as a function of its parameters.
        phi: The parameters, shape ``(D,)``.
        statistics: Statistics of its norms, used for evaluation.
    """

    learner: Learner
    phi: Tensor
    statistics: Statistics

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Returns the logits of normalised images ``(N, C, H, W)``, float32, shape ``(N, classes)``."""
        parts = [self.learner.apply(self.phi, part, self.statistics)[0] for part in images.split(1000)]
        return torch.cat(parts).float()

    def probabilities(self, images: Tensor) -> Tensor:
        """Returns the class probabilities of normalised images ``(N, C, H, W)``, shape ``(N, classes)``."""
        return self.logits(images).softmax(dim=1)
