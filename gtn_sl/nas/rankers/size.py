"""Baseline rankers that every other has to beat: an architecture's size, and a random number."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from gtn_core.config import config
from gtn_sl.data import ImageTask
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Score, Setting


@RANKERS.register("parameters")
@config
class Parameters(Ranker):
    """The number of parameters."""

    reads_images: ClassVar[bool] = False

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        return lambda candidate, seed: Score(parameter_count(candidate, setting.task))


@RANKERS.register("flops")
@config
class Flops(Ranker):
    """Floating-point operations of one image's forward pass, as counted by torch."""

    reads_images: ClassVar[bool] = False

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        return lambda candidate, seed: Score(flop_count(candidate, setting.task))


@RANKERS.register("random")
@config
class Random(Ranker):
    """A random number that depends on architecture and seed."""

    reads_images: ClassVar[bool] = False

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""
        return lambda candidate, seed: Score(float(np.random.default_rng([seed, *candidate.genotype]).random()))


def parameter_count(candidate: Candidate, task: ImageTask) -> int:
    """Returns the number of an architecture's parameters."""
    return sum(p.numel() for p in candidate.module(task, 0).parameters())


def flop_count(candidate: Candidate, task: ImageTask) -> int:
    """Returns the floating-point operations of classifying one image; a multiply-add counts as two."""
    module = candidate.module(task, 0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, *task.image_shape))
    return int(counter.get_total_flops())
