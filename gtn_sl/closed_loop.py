"""The feedback of a closed-loop teacher: its learner's progress shifts the noise, and so the images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

HIDDEN = 64
"""Width of the hidden layer."""


def skill(progress: Tensor) -> Tensor:
    """Scales progress so that guessing is 0 and perfection is 1; the shape is unchanged.

    Args:
        progress: Loss, then each class's expected accuracy, shape ``(1 + classes,)``; see
            ``gtn_core.closed_loop.class_progress``.
    """
    classes = len(progress) - 1
    loss, accuracy = progress[:1] / math.log(classes), progress[1:]
    return torch.cat([1 - loss, (classes * accuracy - 1) / (classes - 1)])


class Feedback(nn.Module):
    """A network with one hidden layer, from the noise, its class and the learner's progress to an offset of that noise.

    Each sample gets its own offset: generators normalise over the batch, which would remove a common one. The last
    layer starts at zero, so that meta-training starts from the same teacher as without feedback.

    Args:
        latent: Length of a noise vector.
        classes: Number of classes.
    """

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent + classes + 1 + classes, HIDDEN)
        self.offset = nn.Linear(HIDDEN, latent, bias=False)
        nn.init.zeros_(self.offset.weight)

    def forward(self, noise: Tensor, told: Tensor, progress: Tensor) -> Tensor:
        """Returns the noise offset, shape ``(B, latent)``.

        Args:
            noise: Noise vectors, shape ``(B, latent)``.
            told: Classes as distributions, shape ``(B, classes)``.
            progress: Loss and class accuracies, shape ``(1 + classes,)``; see ``skill``.
        """
        seen = torch.cat([noise, told, skill(progress).to(noise).expand(len(noise), -1)], dim=1)
        return self.offset(torch.tanh(self.hidden(seen)))
