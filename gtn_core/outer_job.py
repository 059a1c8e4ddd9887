"""What a task brings to the outer loop: episodes to learn from, and a validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gtn_core.estimators import Trial
from gtn_core.tracking import Picture


@dataclass(frozen=True)
class Validation:
    """How good a teacher is on validation data.

    Attributes:
        score: What decides which teacher is best; higher is better.
        metrics: Values to log, by tag.
        pictures: Pictures to log, by tag.
    """

    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)


class Job(Protocol):
    """What a task brings to the outer loop."""

    def episode(self, iteration: int, progress: float) -> Trial:
        """Returns what an outer step judges by, a function of its arguments (and the run's seed) alone.

        Args:
            iteration: Number of the episode, from 0: the outer step, where a step has one episode.
            progress: Share of the run that is done, in ``[0, 1)``.
        """

    def validate(self) -> Validation:
        """Judges the teacher as it is on fresh learners and validation data; no state of the run may move.

        Every process is asked, and has to return the same score and metrics.
        """

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """Stores the teacher, the best so far."""
