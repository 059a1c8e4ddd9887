"""The budget of a search and the ledger of what it has spent so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gtn_core.config import Positive, PositiveReal, config
from gtn_core.errors import UsageError


@config
class Budget:
    """What a search may spend; it ends as soon as one of the limits is reached."""

    evaluations: Positive | None = None
    """Judgements, at any fidelity."""
    cpu_seconds: PositiveReal | None = None
    """CPU-seconds spent on judging and on preparing the rankers."""
    steps: Positive | None = None
    """Training steps."""
    images: Positive | None = None
    """Images seen."""

    def limits(self) -> dict[str, float]:
        """Returns the limits that are set, by name.

        Raises:
            UsageError: No limit is set.
        """
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        limits = {name: float(value) for name, value in given.items() if value is not None}
        if not limits:
            raise UsageError(f"a search needs a budget: one or more of {', '.join(given)}")
        return limits


@dataclass
class Ledger:
    """What a search has spent so far, and what was spent before it began.

    Attributes:
        evaluations: Number of judgements.
        cpu_seconds: CPU-seconds of judging and preparation.
        wall_seconds: Wall-clock seconds of judging.
        steps: Training steps.
        images: Images seen.
        paid_before: CPU-seconds spent on what the rankers need, e.g. a teacher's meta-training; not part of the budget.
            ``None`` if unknown.
    """

    evaluations: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    steps: int = 0
    images: int = 0
    paid_before: float | None = 0.0

    def pay(self, run: Mapping[str, Any]) -> None:
        """Adds the cost of one judgement."""
        self.evaluations += 1
        self.cpu_seconds += run["cpu_seconds"]
        self.wall_seconds += run["wall_seconds"]
        self.steps += run["steps"]
        self.images += run["images"]

    def share(self, budget: Budget) -> float:
        """Returns the spent fraction of the budget: the largest one over its limits.

        Raises:
            UsageError: The budget sets no limit.
        """
        return max(getattr(self, name) / limit for name, limit in budget.limits().items())
