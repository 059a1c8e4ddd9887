"""What a learner can be trained on: T batches of images and label probabilities, and how to take the steps."""

from __future__ import annotations

from gtn_core.errors import UsageError
from gtn_core.estimators import Teacher
from gtn_core.inner_optim import UnboundOptimizer


class Stream(Teacher):
    """A teacher of images and labels, learned or not, with its inner optimizer.

    Attributes:
        steps: Number of batches, T.
        batch_size: Images per batch, B.
        optimizer: The learner's inner optimizer.
        closed_loop: Whether a batch depends on the learner's progress, so that ``inner_loss`` must return it.
    """

    steps: int
    batch_size: int
    optimizer: UnboundOptimizer
    closed_loop: bool = False

    def require_open(self, what: str) -> None:
        """Raises UsageError if batches depend on the learner's progress, which ``what`` does not have."""
        if self.closed_loop:
            raise UsageError(
                f"{what} needs batches that do not depend on the learner, but this teacher's curriculum follows the"
                " learner's progress; train on it with gtn-cli train-learner, or gtn_sl.train_learner"
            )
