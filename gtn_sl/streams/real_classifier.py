"""An ordinary classifier of real images: it labels images that nobody labelled, and reads those of a teacher."""

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
    """How it is trained: SGD with momentum, a cosine to 0."""

    steps: Positive = 500
    """Training steps."""
    batch_size: Positive = 64
    """Images a step."""
    lr: PositiveReal = 0.05
    """Learning rate at the start."""
    momentum: Momentum = 0.9
    """Momentum."""


def train_on_real(
    data: TaskData, split: Split, learner: str, seed: int, training: RealTraining, plan: StepPlan
) -> TrainedLearner:
    """Trains a classifier on real images.

    Args:
        data: The task, for normalisation and classes.
        split: The images; they decide where it is computed.
        learner: Its architecture, by name.
        seed: Of its initial weights and its batches.
        training: How long, and how.
        plan: How steps are computed.

    Raises:
        DivergedError: The training loss is not finite.
    """
    schedule = cosine_schedule(training.steps, training.lr, training.momentum).to(split.images.device)
    stream = RealData(data, split, training.steps, training.batch_size, SGD(), schedule).for_learner(seed)
    network, phi = architecture(learner).fresh(data.task, seed, plan.layout)
    trail = train(stream, network, phi.to(split.images.device), plan)
    return TrainedLearner(network, trail.final, trail.statistics[-1])
