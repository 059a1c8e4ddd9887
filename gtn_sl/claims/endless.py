"""Claim: a teacher without a curriculum can be sampled for longer than in meta-training, and keeps teaching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from gtn_sl.claims.curves import draw_curves, mean_curve, standard_error
from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig

LONGER = 8
"""Inner steps, as a multiple of those in meta-training."""

NAMES = {"fresh noise": "none", "its table again": "full"}
"""What follows the last step of meta-training, and the curriculum that does so."""


@CLAIMS.register("endless")
class Endless(Claim):
    """Accuracy against inner step, far beyond T, with fresh noise and with a table that starts again."""

    title: ClassVar[str] = "A teacher sampled for longer than it was trained"
    says: ClassVar[str] = (
        "a teacher without a curriculum, sampled for more steps than in meta-training, makes learners better still"
    )

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        return [Run(name, {"teacher": {"curriculum": name}}) for name in NAMES.values()]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Records the learners' accuracy curves over ``LONGER`` times T steps."""
        steps = LONGER * lab.base.inner.steps
        teachers = {title: made[name].file().teacher.for_steps(steps) for title, name in NAMES.items()}
        return {title: lab.accuracies(title, teacher, curve=True) for title, teacher in teachers.items()}

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        trained = evidence.lab.base.inner.steps
        curves = {title: mean_curve(evidence.measured[title]) for title in NAMES}
        parts = [
            f"with {title} from {percent(curve[trained - 1])} after {trained} steps to {percent(curve[-1])} after {len(curve)}"
            for title, curve in curves.items()
        ]
        fresh = np.array(evidence.measured["fresh noise"]["curves"])
        gains = fresh[:, -1] - fresh[:, trained - 1]
        parts.append(
            f"with fresh noise a learner gains {100 * gains.mean():.1f} ± {100 * standard_error(gains):.1f} points"
        )
        taught = evidence.taught(fresh[:, trained - 1].mean())
        return Verdict(bool(taught and gains.mean() > 2 * standard_error(gains)), "; ".join(parts))

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        trained = evidence.lab.base.inner.steps
        times = [2**power for power in range(LONGER.bit_length())]
        rows = []
        for title, result in evidence.measured.items():
            curve = mean_curve(result)
            rows.append({"after T": title, **{f"{n * trained} steps": percent(curve[n * trained - 1]) for n in times}})
        return rows

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """One line per teacher, and a mark where meta-training ended."""
        axes = figure.add_subplot()
        draw_curves(axes, evidence.measured)
        trained = evidence.lab.base.inner.steps
        axes.axvline(trained, color="black", linewidth=1, linestyle="--")
        axes.annotate(
            "T: no longer in\nmeta-training", (trained, 4), xytext=(6, 0), textcoords="offset points", fontsize=9
        )
