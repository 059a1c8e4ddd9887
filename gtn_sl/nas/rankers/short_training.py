"""Short training of an architecture and its evaluation on real validation data, as used by most rankers."""

from __future__ import annotations

from typing import Literal

from torch.nn import functional as F

from gtn_core.planning.plan import StepPlan
from gtn_sl import evaluation
from gtn_sl.data import ImageTask, Split, TaskData
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.protocol import Judge, Score, Setting
from gtn_sl.stream import Stream
from gtn_sl.trained_learner import TrainedLearner

Measure = Literal["accuracy", "loss"]
"""Measure of a trained network on validation images; the loss is negated."""

PLAN = StepPlan(layout="channels_last")


def train(candidate: Candidate, seed: int, stream: Stream, steps: int, task: ImageTask) -> TrainedLearner:
    """Trains a fresh network on the first steps of a stream.

    Args:
        candidate: The architecture.
        seed: Seed of the initial weights and of what the stream draws for this learner.
        stream: The training batches and their schedule.
        steps: Number of steps; at most the stream's.
        task: The task, for its image shape and number of classes.

    Raises:
        DivergedError: The training loss is not finite.
    """
    learner, phi = candidate.fresh(task, seed, PLAN.layout)
    trail = evaluation.train(stream.for_learner(seed), learner, phi, PLAN, steps=steps)
    return TrainedLearner(learner, trail.final, trail.statistics[-1])


def judged_after(stream: Stream, steps: int, setting: Setting, measure: Measure) -> Judge:
    """Returns a judge that trains a fresh network of each architecture on the first steps of a stream."""

    def judge_one(candidate: Candidate, seed: int) -> Score:
        network = train(candidate, seed, stream, steps, setting.task)
        return Score(judge(network, setting, measure), steps, steps * stream.batch_size)

    return judge_one


def judge(network: TrainedLearner, setting: Setting, measure: Measure) -> float:
    """Returns a trained network's accuracy or negative mean loss on validation images; higher is better."""
    split = setting.judged_by()
    if measure == "accuracy":
        return evaluation.accuracy(network.learner, network.phi, network.statistics, setting.data, split)
    return -_loss(network, setting.data, split)


def _loss(network: TrainedLearner, data: TaskData, split: Split) -> float:
    total = 0.0
    for images, labels in zip(split.images.split(1000), split.labels.split(1000), strict=True):
        logits = network.logits(data.normalise(images))
        total += float(F.cross_entropy(logits, labels, reduction="sum"))
    return total / len(split)
