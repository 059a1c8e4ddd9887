"""Meta-learning and choosing the learning rates and momenta of real data, to make these controls as good as possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from gtn_core.device import send
from gtn_core.errors import DivergedError
from gtn_core.estimators import Backprop, Episode, EstimatorConfig
from gtn_core.inner_schedule import Schedule
from gtn_core.meta_loss import BatchedLoss
from gtn_core.planning.plan import StepPlan
from gtn_core.seeding import Streams
from gtn_core.step_gradient import estimated
from gtn_sl.evaluation import evaluate_stream
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss, real_loss
from gtn_sl.streams.real import RealData

META_BATCH = 1024
"""Number of validation images in the meta-loss of an outer step."""

TRIALS = 8
"""Fresh learners that each schedule is tried with."""


def learn_schedule(
    stream: RealData,
    learner_name: str,
    streams: Streams,
    *,
    iterations: int,
    throughout: bool = False,
    lr: float = 0.1,
    plan: StepPlan | None = None,
    after_iteration: Callable[[], object] | None = None,
) -> None:
    """Meta-learns the schedule of a real-data stream, in place, on the task's validation data.

    The gradient comes from the same adjoint that trains a teacher, so that the control has the best learning rates and
    momenta that this method finds.

    Args:
        stream: The control.
        learner_name: Architecture that the control will be judged on.
        streams: Source of randomness.
        iterations: Number of outer steps.
        throughout: Whether the losses after the steps before the last also count, together as much as the last one.
        lr: Adam's learning rate on log learning rates and logit momenta; it falls to 0 along a cosine.
        plan: How steps are computed.
        after_iteration: Called after each outer step, e.g. to move a progress bar.
    """
    plan = plan or StepPlan()
    device, task = stream.inner_schedule.log_lr.device, stream.data.task
    family, judge = architecture(learner_name), stream.data.validation.to(device)
    optimizer = torch.optim.Adam(stream.inner_schedule.parameters(), lr=lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, iterations))
    estimator = Backprop(EstimatorConfig(plan=plan))

    def begun(episode: Episode) -> Episode:
        optimizer.zero_grad()
        return episode

    for iteration in range(iterations):
        learner, phi = family.fresh(task, streams.seed("control-learner", iteration), plan.layout)
        phi = phi.to(device)
        random = streams.torch("control-meta-batch", iteration)
        chosen = send(torch.randint(len(judge), (min(META_BATCH, len(judge)),), generator=random), device)
        batch = (stream.data.normalise(judge.images[chosen]), judge.labels[chosen])
        between = range(1, stream.steps) if throughout else ()
        weights = {**{step: 1 / len(between) for step in between}, stream.steps: 1.0}
        meta_loss = BatchedLoss(real_loss(learner, plan), dict.fromkeys(weights, batch))
        lesson = streams.seed("control-batches", iteration)
        episode = Episode(
            inner_loss(learner, plan), stream.optimizer.bind(learner, phi), phi, meta_loss, weights, lesson=lesson
        )
        try:
            estimated(estimator, stream, partial(begun, episode), "a schedule on real data")
            if not all(torch.isfinite(p.grad).all() for p in stream.inner_schedule.parameters() if p.grad is not None):
                raise DivergedError("the meta-gradient is not finite")
            optimizer.step()
        except DivergedError:  # the rates are too high for this learner, and there is no gradient to say so
            with torch.no_grad():
                stream.inner_schedule.log_lr.sub_(0.2)
        decay.step()
        if after_iteration is not None:
            after_iteration()


def choose_schedule(
    stream: RealData,
    schedules: Sequence[Schedule],
    learner_name: str,
    streams: Streams,
    *,
    throughout: bool = False,
    plan: StepPlan | None = None,
    after_learner: Callable[[], object] | None = None,
) -> None:
    """Gives a real-data stream the schedule that teaches fresh learners most, measured on the task's validation data.

    A schedule is learned on all training images, for a subset of them, too: on the digits, one learned on subsets of 10,
    50 or 300 images taught no more. How well it suits a subset is only seen by trying it.

    Args:
        stream: The control; its schedule is replaced.
        schedules: What to choose from; of equally good ones, the first is taken.
        learner_name: Architecture that the control will be judged on.
        streams: Source of randomness.
        throughout: Whether the accuracy after every step counts, or only after the last.
        plan: How steps are computed.
        after_learner: Called after each learner, ``TRIALS`` times per schedule; never for a single schedule, which is untried.
    """
    if len(schedules) == 1:
        (stream.inner_schedule,) = schedules
        return
    validation = stream.data.validation
    seeds = [streams.seed("control-trial", index) for index in range(TRIALS)]

    def accuracy(schedule: Schedule) -> float:
        stream.inner_schedule = schedule
        curve = META_BATCH if throughout else 0
        found = evaluate_stream(
            "",
            stream,
            learner_name,
            stream.data,
            validation,
            seeds,
            plan=plan,
            curve_images=curve,
            after_learner=after_learner,
        )
        return float(found.curves.mean()) if throughout else found.mean

    stream.inner_schedule = max(schedules, key=accuracy)
