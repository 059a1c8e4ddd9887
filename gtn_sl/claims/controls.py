"""Real data as a claim's control: as many steps as the teachers', with a schedule that is meta-learned as theirs is."""

from __future__ import annotations

from gtn_core.inner_optim import Schedule, inner_optimizer
from gtn_sl.claims.lab import Lab
from gtn_sl.config import InnerConfig
from gtn_sl.streams import RealData, learn_schedule


def real_data(lab: Lab, inner: InnerConfig, learner: str, *, subset: int | None = None) -> RealData:
    """Returns real data with a learned schedule, varied as the preset varies them.

    Args:
        lab: Data, randomness, and for how many outer steps the schedule is learned.
        inner: The inner loop.
        learner: Whom the schedule is learned for.
        subset: How many images each learner sees; ``None`` for all.
    """
    schedule = Schedule(inner.steps, inner.lr, inner.momentum, max_momentum=inner.max_momentum).to(lab.device)
    optimizer, augmentation = inner_optimizer(inner.optimizer, inner.eps), lab.base.meta_loss.augmentation
    stream = RealData(
        lab.data,
        lab.data.train,
        inner.steps,
        inner.batch_size,
        optimizer,
        schedule,
        subset=subset,
        augmentation=augmentation,
    )
    learn_schedule(stream, learner, lab.streams, iterations=lab.scale.control_steps)
    return stream
