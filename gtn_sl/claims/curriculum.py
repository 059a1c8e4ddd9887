"""Claim: the more of the curriculum is learned, the better: full > shuffled batches > all shuffled > none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent, tidy
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.reports.plots import COLOURS

CLAIMED = ("full", "shuffled-batches", "all-shuffled", "none")
"""From best to worst (Such et al., Fig. 1c)."""


@CLAIMS.register("curriculum")
class LearnedCurriculum(Claim):
    """The four curricula, with several teachers of each."""

    title: ClassVar[str] = "What a learned curriculum is worth"
    says: ClassVar[str] = (
        "learners do best on a full curriculum, then on shuffled batches, on all shuffled samples, on none"
    )
    size: ClassVar[tuple[float, float]] = (11, 4.6)

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        return [
            Run(f"{name}-{seed}", {"teacher": {"curriculum": name}}, seed)
            for seed in range(scale.seeds)
            for name in CLAIMED
        ]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Tests fresh learners on each teacher and collects its validation accuracies."""
        return {
            name: {"tested": lab.accuracies(name, one.file().teacher), "curve": one.validations()}
            for name, one in made.items()
        }

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        means = {name: float(_teachers(evidence, name).mean()) for name in CLAIMED}
        found = sorted(means, key=lambda name: -means[name])
        seen = " > ".join(f"{name} {percent(means[name])}" for name in found)
        apart, spread = means[found[0]] - means[found[-1]], _spread(evidence)
        sure = (
            f"; the first and the last differ by {100 * apart:.1f} points, teachers of one curriculum by a standard deviation"
            f" of up to {100 * spread:.1f}"
        )
        return Verdict(found == list(CLAIMED) and apart > 2 * spread, seen + sure)

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        return [
            {
                "curriculum": name,
                "mean": percent(float(teachers.mean())),
                "each teacher": ", ".join(percent(value) for value in teachers),
                "worst learner": percent(min(run["tested"]["minimum"] for run in _runs(evidence, name))),
            }
            for name in CLAIMED
            for teachers in [_teachers(evidence, name)]
        ]

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """Left: accuracies in the claimed order, a dot per learner. Right: validation accuracy during meta-training."""
        left, right = figure.subplots(1, 2)
        for place, (name, colour) in enumerate(zip(CLAIMED, COLOURS, strict=False)):
            mean = 100 * float(_teachers(evidence, name).mean())
            left.bar(place, mean, color=colour, alpha=0.35)
            left.annotate(
                f"{mean:.1f}", (place, 0.03), xycoords=("data", "axes fraction"), ha="center", fontweight="bold"
            )
            for shift, run in enumerate(_runs(evidence, name)):
                dots = 100 * np.array(run["tested"]["final"])
                offset = 0.24 * (shift - (_count(evidence) - 1) / 2)
                left.plot([place + offset] * len(dots), dots, "o", color=colour, markersize=4, alpha=0.6)
                steps, values = zip(*run["curve"], strict=True)
                right.plot(
                    steps, 100 * np.array(values), color=colour, linewidth=1.5, label=name if shift == 0 else None
                )
        left.set_xticks(range(len(CLAIMED)), CLAIMED)
        low = 100 * min(min(run["tested"]["final"]) for name in CLAIMED for run in _runs(evidence, name))
        left.set_ylim(max(0.0, low - 8), 103)
        tidy(left, "from the best to the worst, as claimed", "accuracy on real test images (%)")
        tidy(right, "outer step", "accuracy, validation images (%)")
        right.legend(loc="lower right", fontsize=9)
        left.set_title("dot: one fresh learner, column: one teacher", loc="left", fontsize=10)
        right.set_title("during meta-training", loc="left", fontsize=10)


def _count(evidence: Evidence) -> int:
    return evidence.lab.scale.seeds


def _spread(evidence: Evidence) -> float:
    """Returns the largest standard deviation among teachers of one curriculum; 0 if there is one of each."""
    return max(float(_teachers(evidence, name).std(ddof=1)) for name in CLAIMED) if _count(evidence) > 1 else 0.0


def _runs(evidence: Evidence, name: str) -> list[Mapping[str, Any]]:
    return [evidence.measured[f"{name}-{seed}"] for seed in range(_count(evidence))]


def _teachers(evidence: Evidence, name: str) -> NDArray[np.float64]:
    """Returns the mean accuracy of each teacher of a curriculum."""
    return np.array([run["tested"]["mean"] for run in _runs(evidence, name)])
