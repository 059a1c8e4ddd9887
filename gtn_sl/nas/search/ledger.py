"""The budget of a search and the ledger of what it has spent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gtn_core.config import Positive, PositiveReal, config
from gtn_core.errors import UsageError


@config
class Budget:
    """What a search may spend; it ends as soon as one of these is used up."""

    evaluations: Positive | None = None
    """Judgements of an architecture, of whatever fidelity."""
    cpu_seconds: PositiveReal | None = None
    """CPU-seconds of judging and of preparing the rankers."""
    steps: Positive | None = None
    """Training steps."""
    images: Positive | None = None
    """Images seen."""

    def limits(self) -> dict[str, float]:
        """Returns what is limited, by name.

        Raises:
            UsageError: Nothing is.
        """
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        limits = {name: float(value) for name, value in given.items() if value is not None}
        if not limits:
            raise UsageError(f"give a search a budget: one or more of {', '.join(given)}")
        return limits


@dataclass
class Ledger:
    """What a search has spent so far, and what had been spent before it began.

    Attributes:
        evaluations: Judgements.
        cpu_seconds: Of judging and preparing.
        wall_seconds: Of judging.
        steps: Training steps.
        images: Images seen.
        paid_before: CPU-seconds of what its rankers rest on, e.g. a teacher's meta-training; not part of the budget.
            ``None`` where nobody knows them.
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
        """Returns which share of the budget is spent: that of whatever is nearest to its end."""
        return max(getattr(self, name) / limit for name, limit in budget.limits().items())
