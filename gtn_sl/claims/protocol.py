"""What a claim consists of: named meta-trainings, measurements on them, and a verdict. Also the registry of claims."""

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
"""Multiple of chance accuracy above which learners count as taught; halfway from chance to 1 if that is lower."""


@dataclass(frozen=True)
class Run:
    """One meta-training of a claim.

    Attributes:
        name: Name of its run folder.
        settings: Layer over the settings shared by all runs of the claim.
        seed: Number of the repetition; the run's seed follows from it and the study's.
        share: Its share of the claim's budget, relative to the other runs.
        step_cost: Cost of one of its outer steps, in usual outer steps; applies where the budget is a number of these.
    """

    name: str
    settings: Settings = field(default_factory=dict)
    seed: int = 0
    share: int = 1
    step_cost: int = 1


@dataclass(frozen=True)
class Evidence:
    """Measurements, and what they were made on.

    Attributes:
        lab: Data and folder of the study.
        made: The meta-trainings, by name.
        measured: What ``Claim.measure`` returned, read back from JSON.
    """

    lab: Lab
    made: Mapping[str, Made]
    measured: Mapping[str, Any]

    def taught(self, accuracy: float) -> bool:
        """Returns whether learners of this mean accuracy are far enough above chance for any effect to be visible."""
        guessing = 1 / self.lab.data.task.classes
        return accuracy > min(TAUGHT * guessing, (1 + guessing) / 2)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim.

    Attributes:
        held: Whether the results agree with the claim.
        saw: The results, in a sentence with figures.
    """

    held: bool
    saw: str


class Claim(Protocol):
    """A claim, of Such et al. (ICML 2020) unless it says otherwise, that one command re-tests."""

    title: ClassVar[str]
    """Title of its figure."""
    says: ClassVar[str]
    """The claim, in a sentence."""
    size: ClassVar[tuple[float, float]] = (9, 5)
    """Width and height of the figure, in inches."""

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """Returns the meta-trainings, given the settings that they share."""

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Measures the meta-trainings; returns JSON values."""

    def verdict(self, evidence: Evidence) -> Verdict:
        """Returns whether the claim held, and what was seen."""

    def table(self, evidence: Evidence) -> list[Row]:
        """Returns the results as rows with the same keys."""

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """Draws the claim's figure."""


CLAIMS: Registry[type[Claim]] = Registry("claim")
