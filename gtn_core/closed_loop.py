"""The learner's progress, on which the next batch of a closed loop may depend; how it does is up to the teacher."""

from __future__ import annotations

import torch
from torch import Tensor


def class_progress(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the loss, then the expected accuracy of each class, shape ``(1 + classes,)``.

    Expected accuracy stands in for accuracy, which is not differentiable. It is the share of a class's examples that
    the learner would classify correctly if it sampled its answers from its own softmax: the mean probability that it
    gives to the class over the examples of that class. With soft labels, an example counts for every class with the
    probability that its label gives. A class that is absent from the batch counts as guessed, ``1 / classes``.

    Args:
        loss: Inner loss, scalar.
        logits: Outputs of the learner for the batch, shape ``(B, classes)``.
        labels: Distributions that it was trained on, same shape.
    """
    logits = logits.to(labels.dtype)
    shown = labels.sum(dim=0)
    right = (labels * logits.softmax(dim=-1)).sum(dim=0)
    absent = shown <= 0  # filled, since `where` copies its constant from host to GPU, which graph capture forbids
    accuracy = (right / shown.masked_fill(absent, 1.0)).masked_fill(absent, 1 / logits.shape[-1])
    return torch.cat([loss.to(accuracy).view(1), accuracy])
