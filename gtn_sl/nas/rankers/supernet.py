"""Weight sharing: one set of weights for all architectures of a space, trained on a random architecture in each step.

After *Single Path One-Shot* (Guo et al., ECCV 2020): architectures are drawn uniformly, and each is judged with its own
batch statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from gtn_core.config import Positive, PositiveReal, config
from gtn_core.errors import DivergedError
from gtn_core.inner_optim import SGD
from gtn_core.learner import Learner
from gtn_core.second_order import first_order
from gtn_core.seeding import Streams
from gtn_sl.losses import inner_loss
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.given_weights import GivenWeights
from gtn_sl.nas.rankers.protocol import RANKERS, Setting
from gtn_sl.nas.rankers.shared_weights import Borrowed, SharedWeights, shared_names
from gtn_sl.nas.rankers.short_training import PLAN, Measure
from gtn_sl.streams.cosine_schedule import Momentum, cosine_schedule

CLIP = 5.0
"""Maximum gradient norm."""


@RANKERS.register("supernet")
@config
class Supernet(GivenWeights):
    """Judges architectures with weights that all of them share, without training them individually."""

    training_steps: Positive = 2000
    """Training steps of the shared weights, each on an architecture drawn from the space."""
    batch_size: Positive = 64
    """Images per step."""
    lr: PositiveReal = 0.2
    """Initial learning rate, which decays to 0 with a cosine."""
    momentum: Momentum = 0.9
    """Momentum."""
    measure: Measure = "accuracy"
    """Measure on validation data: ``accuracy`` or ``loss``."""

    def training(self, setting: Setting) -> SupernetTraining:
        """See ``GivenWeights.training``."""
        return SupernetTraining(self, setting)


class SupernetTraining:
    """The shared weights and their training; see ``kept_training.Training``.

    Args:
        ranker: The settings.
        setting: Space, task and training images.
    """

    def __init__(self, ranker: Supernet, setting: Setting) -> None:
        self.steps, self._batch_size, self._setting = ranker.training_steps, ranker.batch_size, setting
        self._streams, self._weights = Streams(setting.seed), SharedWeights()
        with torch.no_grad():
            self._lr, self._momentum = cosine_schedule(self.steps, ranker.lr, ranker.momentum)()

    def network(self, candidate: Candidate) -> Borrowed:
        """Returns an architecture with the shared weights."""
        module = candidate.module(self._setting.task, self._streams.seed("supernet-initial"))
        return self._weights.lend(Learner(module, PLAN.layout), shared_names(module))

    def step(self, number: int) -> float:
        """Trains on one batch with one random architecture; see ``kept_training.Training``."""
        space = self._setting.space
        network = self.network(Candidate(space, space.sample(self._streams.numpy("supernet-architecture", number))))
        images, labels = self._setting.batch(self._batch_size, self._streams.seed("supernet-batch", number))
        batch = (images, F.one_hot(labels, self._setting.task.classes).float())
        step = first_order(inner_loss(network.learner, PLAN), network.phi, batch)
        if not math.isfinite(step.loss):
            raise DivergedError(f"the supernet's loss is {float(step.loss)} at step {number}: try a smaller lr")
        grad = step.grad * (CLIP / step.grad.norm().clamp(min=CLIP))
        phi, (momenta,) = SGD().update(network.phi, grad, (network.momenta,), self._lr[number], self._momentum[number])
        self._weights.take_back(network, phi, momenta)
        return float(step.loss)

    def state(self) -> dict[str, Tensor]:
        """See ``kept_training.Training``."""
        return self._weights.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See ``kept_training.Training``."""
        self._weights.restore(state)
