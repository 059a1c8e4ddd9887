"""The interface of a task to the outer loop: episodes to learn from, and a validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gtn_core.estimators import Trial
from gtn_core.tracking import Picture


@dataclass(frozen=True)
class Validation:
    """How good a teacher is on validation data.

    Attributes:
        score: Determines which teacher is best; higher is better.
        metrics: Values to log, by tag.
        pictures: Pictures to log, by tag.
    """

    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)


class Job(Protocol):
    """What a task provides to the outer loop."""

    def episode(self, iteration: int, progress: float) -> Trial:
        """Returns the trial that judges a teacher, a function of the arguments (and the run's seed) alone.

        Args:
            iteration: Number of the episode, from 0: the outer step, if a step has one episode.
            progress: Share of the run that is done, in ``[0, 1)``.
        """

    def validate(self, before_learner: Callable[[], None]) -> Validation:
        """Judges the current teacher on fresh learners and validation data, without changing any state of the run.

        Called on every process, and must return the same score and metrics on all of them.

        Args:
            before_learner: To be called before each learner, as often on every process; it raises ``InterruptedRun`` on
                all of them if the run is to stop, and a resumed run validates again.
        """

    def save_teacher(self, validation: Validation, iteration: int) -> None:
        """Saves the teacher, which is the best so far."""
