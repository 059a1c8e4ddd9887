"""Whether a ground truth still stands: a few of its architectures, trained again, against the noise between its seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gtn_core.config import resolve
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.final_training import FinalTraining
from gtn_sl.nas.ground_truth import GroundTruth
from gtn_sl.nas.results import Runs

NEIGHBOURS = 16
"""Architectures whose seeds tell how noisy one is: those with the nearest accuracies, since bad ones vary more than good ones."""

LIMIT = 3.0
"""Standard deviations that a training may lie from the mean of those of other seeds."""


@dataclass(frozen=True)
class Check:
    """One architecture, trained again.

    Attributes:
        architecture: Encoding.
        seed: Of the new training.
        accuracy: What it reached on test data; NaN where it diverged.
        known: What the ground truth has for this very seed; ``None`` where it has none.
        mean: Mean over the ground truth's seeds.
        noise: Standard deviation that a training with another seed has from that mean.
    """

    architecture: str
    seed: int
    accuracy: float
    known: float | None
    mean: float
    noise: float

    @property
    def deviation(self) -> float:
        """How far it lies from the mean, in standard deviations; without any noise, 0 or infinitely far."""
        apart = self.accuracy - self.mean
        return apart / self.noise if self.noise else math.copysign(math.inf, apart) if apart else 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns everything as JSON values; the accuracy of a training that diverged is null."""
        accuracy = self.accuracy if math.isfinite(self.accuracy) else None
        return {**dataclasses.asdict(self), "accuracy": accuracy, "agrees": self.agrees}

    @property
    def agrees(self) -> bool:
        """Whether it lies within the noise between seeds."""
        return abs(self.deviation) <= LIMIT


def drawn_entries(truth: GroundTruth, count: int, seed: int) -> list[Candidate]:
    """Draws architectures of a ground truth, which are to be trained again.

    Raises:
        UsageError: It has fewer, or one seed only, and so tells no noise that they could be held against.
    """
    known = truth.candidates()
    if truth.by_seed().shape[1] < 2:
        raise UsageError("a ground truth with one seed does not tell how far seeds lie apart")
    if count > len(known):
        raise UsageError(f"the ground truth has {len(known)} architectures, not {count}")
    chosen = Streams(seed).numpy("spot-check").choice(len(known), count, replace=False)
    return [known[place] for place in sorted(chosen)]


def training_of(truth: GroundTruth) -> FinalTraining:
    """Returns how the architectures of a ground truth were trained."""
    return resolve(FinalTraining, truth.training)


def compare_again(truth: GroundTruth, found: Mapping[str, Runs]) -> list[Check]:
    """Compares new trainings with those of a ground truth.

    Args:
        truth: It.
        found: The new trainings of each architecture, as ``trainings.train_all`` returns them.
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
    """Returns the rows of a table, each cell as text."""
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
