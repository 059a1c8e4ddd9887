"""Real data as a claim's control: as many steps as the teachers', with a schedule that is meta-learned as theirs is."""

from __future__ import annotations

from gtn_sl.claims.lab import Lab
from gtn_sl.config import InnerConfig
from gtn_sl.streams import RealData, learn_schedule


def real_data(
    lab: Lab, inner: InnerConfig, learner: str, *, subset: int | None = None, throughout: bool = False
) -> RealData:
    """Returns real data with a learned schedule, varied as the preset varies them.

    Args:
        lab: Data, randomness, and for how many outer steps the schedule is learned.
        inner: The inner loop.
        learner: Whom the schedule is learned for.
        subset: How many images each learner sees; ``None`` for all.
        throughout: Whether it is learned for the loss after every step.
    """
    stream = RealData(
        lab.data,
        lab.data.train,
        inner.steps,
        inner.batch_size,
        inner.fresh_optimizer(),
        inner.fresh_schedule().to(lab.device),
        subset=subset,
        augmentation=lab.base.meta_loss.augmentation,
    )
    learn_schedule(stream, learner, lab.streams, iterations=lab.scale.control_steps, throughout=throughout)
    return stream
