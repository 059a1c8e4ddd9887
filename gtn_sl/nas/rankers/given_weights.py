"""Judging networks whose weights come from elsewhere, from a supernet or a hypernetwork, and not from a training of their own."""

from __future__ import annotations

import torch
from torch import Tensor

from gtn_core.learner import Learner
from gtn_sl.nas.rankers.protocol import Score, Setting
from gtn_sl.nas.rankers.short_training import Measure, judge
from gtn_sl.trained_learner import TrainedLearner

STATISTICS_IMAGES = 1024
"""Training images whose batch statistics a network is judged with; nobody has trained it, so that it has none of its own."""


def judge_given(learner: Learner, phi: Tensor, setting: Setting, measure: Measure, seed: int) -> Score:
    """Judges a network on validation images.

    Args:
        learner: The network.
        phi: Its parameters, shape ``(D,)``.
        setting: Where.
        measure: By what.
        seed: Of the training images that its batch statistics are those of.
    """
    images, _ = setting.batch(STATISTICS_IMAGES, seed)
    with torch.no_grad():
        _, statistics = learner.apply(phi, images)
    return Score(judge(TrainedLearner(learner, phi, statistics), setting, measure), images=STATISTICS_IMAGES)
