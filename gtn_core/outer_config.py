"""The settings of the outer loop."""

from __future__ import annotations

from typing import Literal

from gtn_core.config import Decay, Natural, NaturalReal, Positive, PositiveReal, Share, config
from gtn_core.progress import Progress


@config
class OuterConfig:
    """How the teacher is meta-trained."""

    iterations: Natural | None = None
    """Number of outer steps; ``None`` if ``minutes`` bounds the run."""
    minutes: PositiveReal | None = None
    """Wall-clock minutes of meta-training, including validation; ``None`` if ``iterations`` bounds the run."""
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    """Outer optimizer: ``adam``, ``sgd`` (plain gradient descent) or ``rmsprop``."""
    lr: PositiveReal = 0.01
    """Initial learning rate."""
    final_lr: Share = 0.1
    """Share of ``lr`` that a cosine over the run ends at."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay rates of Adam's moments; RMSProp uses the second."""
    eps: PositiveReal = 1e-8
    """Added to the square root of the second moment."""
    clip: PositiveReal | None = None
    """Largest norm of the meta-gradient; a longer one is scaled down."""
    accumulate: Positive = 1
    """Number of episodes in an outer step, whose gradients are averaged."""
    patience: Positive = 10
    """Number of outer steps in a row without result, since every learner diverged, after which the run ends."""
    validations: Positive = 20
    """Number of validations, evenly spaced over the run, besides the one before the first step."""
    save_every: NaturalReal = 30.0
    """Seconds between saves of the state that a run resumes from."""

    def spent(self, progress: Progress) -> float:
        """Returns the share of the budget that is spent; more than 1 if the budget has been lowered since."""
        if self.iterations is not None:
            return progress.iteration / self.iterations if self.iterations else 1.0
        assert self.minutes is not None
        return progress.seconds / (60 * self.minutes)
