"""Rankers that train on real data: for k steps, on a random subset, or for as long as training on a teacher takes."""

from __future__ import annotations

import math
import time

import torch

from gtn_core.annealing import half_cosine
from gtn_core.config import Natural, Positive, PositiveReal, config
from gtn_core.errors import DivergedError, UsageError
from gtn_core.inner_optim import UnboundOptimizer, inner_optimizer
from gtn_core.inner_schedule import Schedule
from gtn_core.learner import Statistics
from gtn_core.second_order import first_order
from gtn_core.seeding import Streams
from gtn_sl.losses import inner_loss
from gtn_sl.nas.candidate import PREFIX, Candidate
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Score, Setting
from gtn_sl.nas.rankers.short_training import PLAN, Measure, judge, judged_after, train
from gtn_sl.nas.rankers.teacher import TeacherRanker
from gtn_sl.streams import RealData, learn_schedule
from gtn_sl.streams.cosine_schedule import Momentum, cosine_schedule
from gtn_sl.trained_learner import TrainedLearner

AT_ONCE = 32
"""Batches that ``equal-time`` draws at a time."""


@RANKERS.register("real")
@config
class Real(Ranker):
    """Trains on real data for k steps."""

    steps: Positive = 128
    """Training steps, k."""
    batch_size: Positive = 128
    """Images per step."""
    lr: PositiveReal = 0.05
    """Initial learning rate, which decays to 0 with a cosine."""
    momentum: Momentum = 0.9
    """Momentum; for Adam, beta1."""
    optimizer: str = "sgd"
    """Optimizer: ``sgd``, ``rmsprop`` or ``adam``."""
    eps: PositiveReal = 1e-8
    """Added to the root of the mean squared gradient by RMSprop and Adam."""
    learn: Natural = 0
    """Outer steps that meta-learn learning rates and momenta on architectures of the space, as a teacher's are; 0 keeps
    the cosine."""
    measure: Measure = "accuracy"
    """Measure on validation data: ``accuracy`` or ``loss``."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        stream = self._stream(setting)
        if self.learn:
            for parameter in stream.inner_schedule.parameters():
                parameter.requires_grad_()
            streams = Streams(setting.seed)
            learn_schedule(stream, f"{PREFIX}:{setting.space.name}", streams, iterations=self.learn, plan=PLAN)
        return judged_after(stream, self.steps, setting, self.measure)

    def _stream(self, setting: Setting) -> RealData:
        schedule = cosine_schedule(self.steps, self.lr, self.momentum)
        optimizer = inner_optimizer(self.optimizer, self.eps)
        return _real(setting, self.steps, self.batch_size, schedule, optimizer, self._subset())

    def _subset(self) -> int | None:
        """Returns the number of real images that each learner sees; ``None`` for all."""
        return None


@RANKERS.register("subset")
@config
class Subset(Real):
    """Trains for k steps on a random subset of the real data, a different one for each seed."""

    images: Positive = 1000
    """Images in the subset."""

    def _subset(self) -> int | None:
        return self.images


@RANKERS.register("equal-time")
@config
class EqualTime(TeacherRanker):
    """Trains on real data for as many CPU-seconds as the same architecture takes on a teacher, measured each time.

    The reported cost covers training and validation on real data only. Times vary between runs, and so do the scores.
    """

    batch_size: Positive = 128
    """Images per step."""
    lr: PositiveReal = 0.05
    """Initial learning rate, which decays to 0 with a cosine over the time budget."""
    momentum: Momentum = 0.9
    """Momentum; for Adam, beta1."""
    optimizer: str = "sgd"
    """Optimizer: ``sgd``, ``rmsprop`` or ``adam``."""
    eps: PositiveReal = 1e-8
    """Added to the root of the mean squared gradient by RMSprop and Adam."""
    architectures: Natural = 0
    """Architectures over which the cost of the teacher's meta-training is divided; each trains longer by its share. 0
    ignores that cost."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        lessons, steps = self.lessons()
        paid = super().paid_before()
        if self.architectures and paid is None:
            raise UsageError(
                f"equal-time: architectures= divides the cost of the meta-training, which the file of {self.file} does not record"
            )
        share = (paid or 0.0) / self.architectures if self.architectures else 0.0

        def judge_one(candidate: Candidate, seed: int) -> Score:
            started = time.process_time()
            train(candidate, seed, lessons, steps, setting.task)
            budget = time.process_time() - started + share
            started = time.process_time()
            network, taken = self._train(candidate, seed, budget, setting)
            value = judge(network, setting, self.measure)
            return Score(value, taken, taken * self.batch_size, cpu_seconds=time.process_time() - started)

        return judge_one

    def paid_before(self) -> float | None:
        """See ``Ranker.paid_before``: real data cost nothing beforehand."""
        return 0.0

    def _train(self, candidate: Candidate, seed: int, budget: float, setting: Setting) -> tuple[TrainedLearner, int]:
        """Trains for ``budget`` CPU-seconds, but at least one step; returns the network and the number of steps.

        Raises:
            DivergedError: The last training loss is not finite.
        """
        started, taken = time.process_time(), 0
        learner, phi = candidate.fresh(setting.task, seed, PLAN.layout)
        loss, optimizer = inner_loss(learner, PLAN), inner_optimizer(self.optimizer, self.eps)
        statistics: Statistics = ()
        bound, momentum = optimizer.bind(learner, phi), torch.tensor(self.momentum)
        state = bound.init(phi)
        schedule = cosine_schedule(AT_ONCE, self.lr, self.momentum)
        stream = _real(setting, AT_ONCE, self.batch_size, schedule, optimizer)
        while (done := (time.process_time() - started) / budget) < 1 or not taken:
            if taken % AT_ONCE == 0:
                lesson = stream.for_learner(Streams(seed).seed("equal-time", taken))
            step = first_order(loss, phi, lesson.batch(taken % AT_ONCE))
            lr = torch.tensor(self.lr * half_cosine(min(done, 1.0)))
            phi, state = bound.update(phi, step.grad, state, lr, momentum)
            statistics, taken = step.statistics, taken + 1
        if not math.isfinite(step.loss):
            raise DivergedError(f"the training loss is {float(step.loss)} at step {taken - 1}")
        return TrainedLearner(learner, phi, statistics), taken


def _real(
    setting: Setting,
    steps: int,
    batch_size: int,
    schedule: Schedule,
    optimizer: UnboundOptimizer,
    subset: int | None = None,
) -> RealData:
    return RealData(setting.data, setting.data.train, steps, batch_size, optimizer, schedule, subset=subset)
