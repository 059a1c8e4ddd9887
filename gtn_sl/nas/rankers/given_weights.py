"""Base class of rankers that train once for all architectures and judge each with the resulting weights."""

from __future__ import annotations

import abc
from typing import Protocol

import torch
from torch import Tensor

from gtn_core.learner import Learner
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.kept_training import Training, train_kept
from gtn_sl.nas.rankers.protocol import Judge, Ranker, Score, Setting
from gtn_sl.nas.rankers.short_training import Measure, judge
from gtn_sl.trained_learner import TrainedLearner

STATISTICS_IMAGES = 1024
"""Training images that provide a network's batch statistics; it has none of its own, as it has not been trained."""


class Network(Protocol):
    """An architecture with weights."""

    @property
    def learner(self) -> Learner:
        """The architecture as a pure learner."""

    @property
    def phi(self) -> Tensor:
        """The parameters, shape ``(D,)``."""


class Giver(Training, Protocol):
    """A training that yields weights for every architecture of the space."""

    def network(self, candidate: Candidate) -> Network:
        """Returns an architecture with its weights."""


class GivenWeights(Ranker):
    """Base class of these rankers; a subclass defines what is trained.

    Attributes:
        measure: Measure on validation data.
    """

    measure: Measure

    @abc.abstractmethod
    def training(self, setting: Setting) -> Giver:
        """Returns the training, before its first step."""

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        giver = self.training(setting)
        train_kept(giver, f"ranker {self.name}", setting.keep)

        def judge_one(candidate: Candidate, seed: int) -> Score:
            images, _ = setting.batch(STATISTICS_IMAGES, seed)
            with torch.no_grad():
                network = giver.network(candidate)
                _, statistics = network.learner.apply(network.phi, images)
            trained = TrainedLearner(network.learner, network.phi, statistics)
            return Score(judge(trained, setting, self.measure), images=STATISTICS_IMAGES)

        return judge_one
