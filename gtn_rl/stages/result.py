"""What a stage of a meta-training came to, as the environment's file and the command line tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gtn_core.cost import Cost


@dataclass
class StageResult:
    """What a stage came to.

    Attributes:
        name: The stage.
        kept: Whether it helped.
        score: Validation score after it; of ``fit``, the explained variance.
        outer_steps: Outer steps taken.
        real_steps: Steps of the real task, validation and what was harvested included.
        cpu_seconds: Processor time of the same.
        metrics: The figures of the best validation.
        before: Validation score that it started from; None of ``fit``.
        seconds: Wall-clock time of its outer loop.
    """

    name: str
    kept: bool
    score: float
    outer_steps: int
    real_steps: int
    cpu_seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    before: float | None = None
    seconds: float = 0.0

    @property
    def cost(self) -> Cost:
        """What it took."""
        return Cost(self.real_steps, self.cpu_seconds)

    def __str__(self) -> str:
        cost = f"{self.outer_steps:,} outer steps, {self.real_steps:,} real steps, {self.cpu_seconds:,.0f} CPU-seconds"
        if self.before is None:
            return f"{self.name}: {self.score:.4f}; {cost}"
        kept = "kept" if self.kept else "not kept"
        return f"{self.name}: real return {self.score:.1f}, {self.before:.1f} before, {kept}; {cost}"
