"""What a claim is: named meta-trainings, what is measured on them, and what that says; and the registry of all claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from matplotlib.figure import Figure

from gtn_core.registry import Registry
from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.presets import Settings

Row = dict[str, str]
"""A row of a claim's table, each cell as text."""


TAUGHT = 2
"""Times what guessing gives that learners must reach to count as taught; of few classes half the way from there to 1 will do."""


@dataclass(frozen=True)
class Run:
    """One meta-training of a claim.

    Attributes:
        name: Its folder.
        settings: Layer over the settings that all runs of the claim share.
        seed: Which of several; added to the study's.
        share: Its part of the claim's budget, relative to the others'.
        step_cost: How many usual outer steps one of its own counts as, where the budget is a number of these.
    """

    name: str
    settings: Settings = field(default_factory=dict)
    seed: int = 0
    share: int = 1
    step_cost: int = 1


@dataclass(frozen=True)
class Evidence:
    """What was measured, and what it was measured on.

    Attributes:
        lab: Data, and where everything lies.
        made: The meta-trainings, by name.
        measured: What ``Claim.measure`` returned, as read back from JSON.
    """

    lab: Lab
    made: Mapping[str, Made]
    measured: Mapping[str, Any]

    def taught(self, accuracy: float) -> bool:
        """Says whether learners of that mean accuracy are far enough above guessing for anything to be seen at all."""
        guessing = 1 / self.lab.data.task.classes
        return accuracy > min(TAUGHT * guessing, (1 + guessing) / 2)


@dataclass(frozen=True)
class Verdict:
    """What came of a claim.

    Attributes:
        held: Whether what was seen is what is claimed.
        saw: What was seen, in a sentence with its figures.
    """

    held: bool
    saw: str


class Claim(Protocol):
    """A claim of Such et al. (ICML 2020) that one command makes again."""

    title: ClassVar[str]
    """What its picture is headed with."""
    says: ClassVar[str]
    """The claim, in a sentence."""
    size: ClassVar[tuple[float, float]] = (9, 5)
    """Width and height of the picture, in inches."""

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """Returns the meta-trainings, by the settings that they share."""

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Measures them; returns JSON values."""

    def verdict(self, evidence: Evidence) -> Verdict:
        """Says what came of it."""

    def table(self, evidence: Evidence) -> list[Row]:
        """Returns the figures, rows of equal keys."""

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """Draws the one picture."""


CLAIMS: Registry[type[Claim]] = Registry("claim")
