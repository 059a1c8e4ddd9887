"""Real data as a claim's control: as many steps as the teachers take, with a schedule meta-learned like theirs."""

from __future__ import annotations

from gtn_sl.claims.lab import Lab
from gtn_sl.config import InnerConfig
from gtn_sl.streams import RealData, choose_schedule, learn_schedule


def real_data(
    lab: Lab, inner: InnerConfig, learner: str, *, subset: int | None = None, throughout: bool = False
) -> RealData:
    """Returns a stream of real data with a learned schedule, augmented as in the study's meta-loss.

    As in an evaluation's controls, the schedule is learned on all training images, and taken for a subset, too, unless the
    initial one is better on validation images.

    Args:
        lab: The study: data, randomness, and how many outer steps the schedule is learned for.
        inner: Settings of the inner loop.
        learner: Architecture that the schedule is learned for.
        subset: Number of images that each learner sees; ``None`` for all.
        throughout: See ``learn_schedule``.
    """
    initial, learned = (inner.fresh_schedule().to(lab.device) for _ in range(2))

    def stream(subset: int | None) -> RealData:
        return RealData(
            lab.data,
            lab.data.train,
            inner.steps,
            inner.batch_size,
            inner.fresh_optimizer(),
            learned,
            subset=subset,
            augmentation=lab.base.meta_loss.augmentation,
        )

    learn_schedule(stream(None), learner, lab.streams, iterations=lab.scale.control_steps, throughout=throughout)
    control = stream(subset)
    choose_schedule(control, [learned, initial], learner, lab.streams, throughout=throughout)
    return control
