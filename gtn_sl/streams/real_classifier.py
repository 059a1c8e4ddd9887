"""An ordinary classifier of real images, used to label unlabelled images and to read those of a teacher."""

from __future__ import annotations

from gtn_core.config import Positive, PositiveReal, config
from gtn_core.inner_optim import SGD
from gtn_core.planning.plan import StepPlan
from gtn_sl.data import Split, TaskData
from gtn_sl.evaluation import train
from gtn_sl.learners import architecture
from gtn_sl.streams.cosine_schedule import Momentum, cosine_schedule
from gtn_sl.streams.real import RealData
from gtn_sl.trained_learner import TrainedLearner


@config
class RealTraining:
    """How a classifier of real images is trained: SGD with momentum, a learning rate that falls to 0 along a cosine."""

    steps: Positive = 500
    """Training steps."""
    batch_size: Positive = 64
    """Images per step."""
    lr: PositiveReal = 0.05
    """Initial learning rate."""
    momentum: Momentum = 0.9
    """Momentum."""


def train_on_real(
    data: TaskData, split: Split, learner: str, seed: int, training: RealTraining, plan: StepPlan
) -> TrainedLearner:
    """Trains a classifier on real images.

    Args:
        data: Gives normalisation and classes.
        split: The images; training runs on their device.
        learner: Name of its architecture.
        seed: Seed of its initial parameters and its batches.
        training: How it is trained, and for how long.
        plan: How steps are computed.

    Raises:
        DivergedError: The training loss is not finite.
    """
    schedule = cosine_schedule(training.steps, training.lr, training.momentum).to(split.images.device)
    stream = RealData(data, split, training.steps, training.batch_size, SGD(), schedule).for_learner(seed)
    network, phi = architecture(learner).fresh(data.task, seed, plan.layout)
    trail = train(stream, network, phi.to(split.images.device), plan)
    return TrainedLearner(network, trail.final, trail.statistics[-1])
