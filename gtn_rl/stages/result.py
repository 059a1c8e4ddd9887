"""The result of a stage of a meta-training, as the environment's file and the command line show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gtn_core.cost import Cost
from gtn_rl.natures import NATURES, StageNature


@dataclass
class StageResult:
    """The result of a stage.

    Attributes:
        name: Name of the stage.
        kept: Whether it helped, so that its changes were kept.
        score: Validation score after it; for ``fit``, the explained variance, or None if it could not be validated.
        outer_steps: Number of outer steps taken.
        real_steps: Steps of the real task, including validation and harvests.
        cpu_seconds: Processor time, likewise.
        metrics: Metrics of the best validation.
        before: Validation score before it, the same as ``score`` for ``judge``; None for ``fit``.
        seconds: Wall-clock time of its outer loop.
    """

    name: str
    kept: bool
    score: float | None
    outer_steps: int
    real_steps: int
    cpu_seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    before: float | None = None
    seconds: float = 0.0

    @property
    def nature(self) -> StageNature:
        """Properties of the stage."""
        return NATURES[self.name]

    @property
    def cost(self) -> Cost:
        """Real steps and processor time taken."""
        return Cost(self.real_steps, self.cpu_seconds)

    def __str__(self) -> str:
        cost = f"{self.outer_steps:,} outer steps, {self.real_steps:,} real steps, {self.cpu_seconds:,.0f} CPU-seconds"
        if self.before is None:
            return f"{self.name}: {'not validated' if self.score is None else f'{self.score:.4f}'}; {cost}"
        if not self.nature.changes:
            return f"{self.name}: real return {self.score:.1f}; {cost}"
        kept = "kept" if self.kept else "not kept"
        return f"{self.name}: real return {self.score:.1f}, {self.before:.1f} before, {kept}; {cost}"
