"""What a learner can be trained on: T batches of images and label probabilities, and how to take the steps."""

from __future__ import annotations

from gtn_core.estimators import Teacher
from gtn_core.inner_optim import InnerOptimizer


class Stream(Teacher):
    """A teacher of images and labels, learned or not, with its inner optimizer.

    Attributes:
        steps: T.
        batch_size: B.
        optimizer: How the learner takes its steps.
    """

    steps: int
    batch_size: int
    optimizer: InnerOptimizer
