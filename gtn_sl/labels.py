"""The labels of the synthetic batches: what the generator is conditioned on, and what the learner is taught."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gtn_core.registry import Registry


class Labels(nn.Module):
    """Evenly distributed classes, the same in every batch: example b is of class ``b mod classes``.

    Args:
        steps: T.
        batch_size: B.
        classes: Number of classes.
    """

    classes_of_batch: Tensor

    def __init__(self, steps: int, batch_size: int, classes: int) -> None:
        super().__init__()
        self.steps, self.classes = steps, classes
        self.register_buffer("classes_of_batch", torch.arange(batch_size) % classes)

    def condition(self) -> Tensor:
        """Returns what the generator is told, one-hot, shape ``(B, classes)``."""
        return F.one_hot(self.classes_of_batch, self.classes).to(torch.get_default_dtype())

    def forward(self, step: int) -> Tensor:
        """Returns the probabilities that the learner is taught at one inner step, shape ``(B, classes)``."""
        raise NotImplementedError


LABELS: Registry[Callable[[int, int, int], Labels]] = Registry("label kind")


@LABELS.register("one-hot")
class OneHotLabels(Labels):
    """The learner is taught the very class that the generator is told."""

    def forward(self, step: int) -> Tensor:
        """See ``Labels.forward``."""
        return self.condition()


@LABELS.register("soft")
class SoftLabels(Labels):
    """Each example's label is a meta-learned distribution, which starts with nearly all its mass on the class.

    The probabilities are a softmax of learned logits, so that they stay a distribution.
    """

    def __init__(self, steps: int, batch_size: int, classes: int, *, start: float = 0.95) -> None:
        super().__init__(steps, batch_size, classes)
        margin = torch.logit(torch.tensor(start)) + torch.log(torch.tensor(classes - 1.0))
        self.logits = nn.Parameter(margin * self.condition().repeat(steps, 1, 1))

    def forward(self, step: int) -> Tensor:
        """See ``Labels.forward``."""
        return self.logits[step].softmax(dim=-1)
