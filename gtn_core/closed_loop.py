"""The learner's progress, which a closed loop's next batch may depend on. How the batch depends on it is the teacher's affair."""

from __future__ import annotations

import torch
from torch import Tensor


def class_progress(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the loss, then the expected accuracy of each class, shape ``(1 + classes,)``.

    Expected accuracy stands in for accuracy, which has no derivative: the share of a class that the learner would name rightly
    if it drew its answers from its own softmax, which is the mean probability that it gives to the class over the examples of
    that class. Soft labels count an example for every class by the probability they give it. A class that the batch does not
    hold counts as guessed, ``1 / classes``.

    Args:
        loss: Inner loss, scalar.
        logits: What the learner said of the batch, shape ``(B, classes)``.
        labels: What it was taught, distributions, same shape.
    """
    logits = logits.to(labels.dtype)
    shown = labels.sum(dim=0)
    right = (labels * logits.softmax(dim=-1)).sum(dim=0)
    absent = shown <= 0  # filled, since a GPU copies the constant of a `where` from the host, which no capture allows
    accuracy = (right / shown.masked_fill(absent, 1.0)).masked_fill(absent, 1 / logits.shape[-1])
    return torch.cat([loss.to(accuracy).view(1), accuracy])
