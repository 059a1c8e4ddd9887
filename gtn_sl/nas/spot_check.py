"""Spot checks of a ground truth: a few architectures are retrained and compared, given the noise between seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtn_core.config import resolve
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_core.version import installed_version
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.final_training import FinalTraining
from gtn_sl.nas.ground_truth import GroundTruth
from gtn_sl.nas.results import Runs
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.trainings import Course

NEIGHBOURS = 16
"""Architectures, nearest in accuracy, over which the noise between seeds is pooled; inaccurate ones vary more."""

LIMIT = 3.0
"""Standard deviations by which a training may deviate from the ground truth's mean."""


@dataclass(frozen=True)
class Check:
    """One architecture, retrained.

    Attributes:
        architecture: Encoding.
        seed: Seed of the new training.
        accuracy: Test accuracy of the new training; NaN if it diverged.
        known: Test accuracy in the ground truth for the same seed; ``None`` if it does not have that seed.
        mean: Mean test accuracy over the ground truth's seeds.
        noise: Expected standard deviation of a new seed's accuracy from that mean.
    """

    architecture: str
    seed: int
    accuracy: float
    known: float | None
    mean: float
    noise: float

    @property
    def deviation(self) -> float:
        """Deviation from the mean in standard deviations; 0 or infinite if there is no noise."""
        apart = self.accuracy - self.mean
        return apart / self.noise if self.noise else math.copysign(math.inf, apart) if apart else 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns the check as JSON values; the accuracy is null if the training diverged."""
        accuracy = self.accuracy if math.isfinite(self.accuracy) else None
        return {**dataclasses.asdict(self), "accuracy": accuracy, "agrees": self.agrees}

    @property
    def agrees(self) -> bool:
        """Whether the deviation is within ``LIMIT``; false if the training diverged."""
        return abs(self.deviation) <= LIMIT


def drawn_entries(truth: GroundTruth, count: int, seed: int) -> list[Candidate]:
    """Draws distinct architectures of a ground truth to retrain, in its order.

    Raises:
        UsageError: The ground truth has fewer architectures, or only one seed, which gives no estimate of the noise.
    """
    known = truth.candidates()
    if truth.by_seed().shape[1] < 2:
        raise UsageError("a ground truth with one seed does not show how much seeds differ")
    if count > len(known):
        raise UsageError(f"the ground truth has only {len(known)} architectures, not {count}")
    chosen = Streams(seed).numpy("spot-check").choice(len(known), count, replace=False)
    return [known[place] for place in sorted(chosen)]


def check_course(truth: GroundTruth, data_dir: Path | None) -> Course:
    """Returns the course that retrains a ground truth's architectures.

    Its results are kept apart from the ground truth's own, and from those of other versions of torch and of this package,
    but not from those of other code of the same version: after a change of code, a check needs another folder.

    Args:
        truth: The ground truth.
        data_dir: Folder of the image files.

    Raises:
        UsageError: The space, or a setting of the trainings, is invalid.
    """
    made_with = {"purpose": "spot check", "version": installed_version(), "torch": str(torch.__version__)}
    return Course(find_space(truth.space), truth.task, training_of(truth), data_dir, made_with=made_with)


def training_of(truth: GroundTruth) -> FinalTraining:
    """Returns the settings that a ground truth's architectures were trained with.

    Raises:
        UsageError: The settings are invalid.
    """
    return resolve(FinalTraining, truth.training)


def compare_again(truth: GroundTruth, found: Mapping[str, Runs]) -> list[Check]:
    """Compares new trainings with those of a ground truth.

    Args:
        truth: The ground truth.
        found: New trainings of each architecture, as returned by ``trainings.train_all``.
    """
    seeds = truth.by_seed().shape[1]
    return [
        _check(truth, encoding, seed, math.nan if run["failure"] else float(run["test"]), seeds)
        for encoding, runs in found.items()
        for seed, run in runs.items()
    ]


def _check(truth: GroundTruth, encoding: str, seed: int, accuracy: float, seeds: int) -> Check:
    entry = truth.entries[encoding]
    known = entry.test[seed] if seed < seeds else None
    mean = float(np.mean(entry.test))
    return Check(encoding, seed, accuracy, known, mean, _noise(truth, mean) * math.sqrt(1 + 1 / seeds))


def _noise(truth: GroundTruth, accuracy: float) -> float:
    """Returns the standard deviation between seeds, pooled over the architectures nearest to an accuracy."""
    nearest = np.argsort(np.abs(truth.accuracies() - accuracy), kind="stable")[:NEIGHBOURS]
    return float(np.sqrt(truth.by_seed()[nearest].var(axis=1, ddof=1).mean()))


def check_table(checks: Sequence[Check]) -> list[dict[str, str]]:
    """Returns the rows of a table with text cells."""
    return [
        {
            "architecture": check.architecture,
            "ground truth": f"{100 * check.mean:.2f}% ± {100 * check.noise:.2f}",
            "again": f"{100 * check.accuracy:.2f}% (seed {check.seed})",
            "then": "" if check.known is None else f"{100 * check.known:.2f}%",
            "deviation": f"{check.deviation:+.1f} sd",
            "agrees": "yes" if check.agrees else "NO",
        }
        for check in checks
    ]
