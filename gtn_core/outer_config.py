"""The settings of the outer loop."""

from __future__ import annotations

from typing import Literal

from gtn_core.config import Decay, Natural, NaturalReal, Positive, PositiveReal, Share, config
from gtn_core.progress import Progress


@config
class OuterConfig:
    """How the teacher is meta-trained."""

    iterations: Natural | None = None
    """Outer steps; ``None`` where ``minutes`` bounds the run."""
    minutes: PositiveReal | None = None
    """Wall-clock minutes of meta-training, validation included; ``None`` where ``iterations`` bounds the run."""
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    """What takes the outer step: ``adam``, ``sgd``, plain gradient descent, or ``rmsprop``."""
    lr: PositiveReal = 0.01
    """Learning rate at the start."""
    final_lr: Share = 0.1
    """Share of ``lr`` that a cosine over the run ends at."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay rates of Adam's moments; RMSProp takes the second."""
    eps: PositiveReal = 1e-8
    """Added to the root of the second moment."""
    clip: PositiveReal | None = None
    """Largest norm of the meta-gradient; longer ones are scaled down."""
    accumulate: Positive = 1
    """Episodes of an outer step, whose gradients are averaged."""
    patience: Positive = 10
    """Outer steps in a row that may come to nothing, since every learner diverged, before the run ends."""
    validations: Positive = 20
    """How often, evenly over the run, the teacher is judged on validation data."""
    save_every: NaturalReal = 30.0
    """Seconds between resumable states."""

    def spent(self, progress: Progress) -> float:
        """Returns which share of the budget is spent; more than 1 where there is less of it than before."""
        if self.iterations is not None:
            return progress.iteration / self.iterations if self.iterations else 1.0
        assert self.minutes is not None
        return progress.seconds / (60 * self.minutes)
