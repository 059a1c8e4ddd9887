"""Claim: learners need fewer steps on a GTN than on distilled images or on real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from gtn_sl.claims.controls import real_data
from gtn_sl.claims.curves import draw_curves, mean_curve
from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.presets import Settings

GTN, DISTILLED, REAL = "GTN", "distilled images", "real data"

_THROUGHOUT: Settings = {"meta_loss": {"every": 1, "weight": 1.0, "final_weight": 1.0}}
"""A loss after every step, including the last: a curve is high where the meta-loss is taken, and drops in between."""


@CLAIMS.register("speed")
class Speed(Claim):
    """Accuracy against inner step, with equal batches and learning rates and momenta meta-learned for each stream."""

    title: ClassVar[str] = "Accuracy against inner steps"
    says: ClassVar[str] = (
        "at every number of inner steps learners are better on a GTN than on distilled images or on real data"
    )

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        return [
            Run(GTN, _THROUGHOUT),
            Run(DISTILLED.replace(" ", "-"), {"teacher": {"generator": "pixels"}, **_THROUGHOUT}),
        ]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Records the learners' accuracy curves on each stream."""
        teachers = {GTN: made[GTN], DISTILLED: made[DISTILLED.replace(" ", "-")]}
        curves = {name: lab.accuracies(name, one.file().teacher, curve=True) for name, one in teachers.items()}

        def real() -> dict[str, Any]:
            return lab.tested(real_data(lab, lab.base.inner, lab.learner, throughout=True), curve=True)

        curves[REAL] = lab.measured(REAL, real)
        return curves

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        gtn = mean_curve(evidence.measured[GTN])
        others = {name: mean_curve(evidence.measured[name]) for name in (DISTILLED, REAL)}
        ahead = {name: int((gtn > curve).sum()) for name, curve in others.items()}
        parts = [f"ahead of {name} after {count} of {len(gtn)} steps" for name, count in ahead.items()]
        after = ", ".join(f"{name} {percent(evidence.measured[name]['mean'])}" for name in (GTN, *others))
        held = all(count == len(gtn) for count in ahead.values())
        return Verdict(held, f"the GTN is {' and '.join(parts)}; after the last step: {after}")

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        steps = evidence.measured[GTN]["curve_steps"]
        shown = sorted({steps[round(share * (len(steps) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)})
        rows = []
        for name, result in evidence.measured.items():
            curve = mean_curve(result)
            row = {"trained on": name, **{f"step {step}": percent(curve[step - 1]) for step in shown}}
            rows.append({**row, "all test images": percent(result["mean"]), "worst": percent(np.min(result["final"]))})
        return rows

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """One line per stream."""
        draw_curves(figure.add_subplot(), evidence.measured)
