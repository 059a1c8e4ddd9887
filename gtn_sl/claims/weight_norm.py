"""Claim: weight norm on the generator's layers makes meta-training stable over seeds and learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent, tidy
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.reports.plots import COLOURS

FACTORS = (0.5, 2.0, 8.0)
"""Outer learning rates, as multiples of the preset's."""

FORMS = {"with": True, "without": False}


@CLAIMS.register("weight-norm")
class WeightNorm(Claim):
    """Meta-trainings with and without weight norm, at several learning rates and seeds."""

    title: ClassVar[str] = "Weight norm on the generator's layers"
    says: ClassVar[str] = (
        "with weight norm on the generator, meta-training is more stable: over learning rates and seeds it ends higher, on"
        " average and at worst"
    )
    size: ClassVar[tuple[float, float]] = (11, 4.2)

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        return [
            Run(
                _name(form, factor, seed),
                {"teacher": {"weight_norm": on}, "outer": {"lr": factor * base.outer.lr}},
                seed,
            )
            for seed in range(scale.seeds)
            for factor in FACTORS
            for form, on in FORMS.items()
        ]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Collects each run's validation accuracies; a run that diverged ends at chance accuracy."""
        chance = 1 / lab.data.task.classes
        return {
            name: {
                "curve": curve,
                "last": chance if one.diverged else curve[-1][1],
                "diverged": one.diverged is not None,
            }
            for name, one in made.items()
            for curve in [one.validations()]
        }

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        last = {form: np.array(_last(evidence, form, FACTORS)) for form in FORMS}
        gone = {form: sum(run["diverged"] for run in _chosen(evidence, form, FACTORS)) for form in FORMS}
        taught = evidence.taught(last["with"].mean())
        held = taught and last["with"].mean() > last["without"].mean() and last["with"].min() > last["without"].min()
        parts = [
            f"{form} weight norm {percent(values.mean())} on average over {len(values)} runs, {percent(values.min())} in the"
            f" worst, spread {100 * values.std(ddof=1):.1f} points, {gone[form]} diverged"
            for form, values in last.items()
        ]
        return Verdict(bool(held), "; ".join(parts))

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        base = evidence.lab.base.outer.lr
        return [
            {
                "outer learning rate": f"{factor * base:g}",
                "weight norm": form,
                "last validation, mean": percent(float(np.mean(_last(evidence, form, [factor])))),
                "worst": percent(min(_last(evidence, form, [factor]))),
                "diverged": f"{sum(run['diverged'] for run in runs)} of {len(runs)}",
            }
            for factor in FACTORS
            for form in FORMS
            for runs in [_chosen(evidence, form, [factor])]
        ]

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """One panel per learning rate: validation accuracy against outer step, one line per run."""
        panels = figure.subplots(1, len(FACTORS), sharey=True)
        for axes, factor in zip(panels, FACTORS, strict=True):
            for form, colour in zip(FORMS, COLOURS, strict=False):
                for place, run in enumerate(_chosen(evidence, form, [factor])):
                    steps, values = zip(*run["curve"], strict=True) if run["curve"] else ((), ())
                    label = f"{form} weight norm" if place == 0 else None
                    axes.plot(steps, 100 * np.array(values), color=colour, marker="o", markersize=3, label=label)
                    if run["diverged"] and run["curve"]:
                        axes.plot(steps[-1], 100 * values[-1], color=colour, marker="X", markersize=11, label=None)
            axes.set_title(f"outer learning rate {factor * evidence.lab.base.outer.lr:g}", loc="left", fontsize=10)
            tidy(axes, "outer step", "accuracy of fresh learners, validation (%)" if axes is panels[0] else "")
            axes.set_ylim(0, 101)
        panels[0].legend(loc="lower right", fontsize=9, title="one line per seed; X: diverged")


def _name(form: str, factor: float, seed: int) -> str:
    return f"{form}-lr-{factor:g}-{seed}"


def _chosen(evidence: Evidence, form: str, factors: Sequence[float]) -> list[Mapping[str, Any]]:
    seeds = range(evidence.lab.scale.seeds)
    return [evidence.measured[_name(form, factor, seed)] for factor in factors for seed in seeds]


def _last(evidence: Evidence, form: str, factors: Sequence[float]) -> list[float]:
    return [float(run["last"]) for run in _chosen(evidence, form, factors)]
