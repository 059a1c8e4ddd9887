"""Claim: a teacher made on one learner teaches only that one; one made on a pool also teaches learners it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.learners import architecture
from gtn_sl.presets import ADAM, Settings

TAUGHT = ("base_fc", "lenet", "mlp")
HELD_OUT = ("convnet", "resnet", "linear")
POOL = "pool"


MARGIN = 0.05
"""Minimum difference in accuracy that counts."""

FOR_ANY_LEARNER: Settings = {"inner": ADAM, "outer": {"lr": 0.0015, "clip": 1.0}}
"""Settings of every teacher here: with SGD, no learning rate suits all learners on any teacher (docs/learners.md)."""


@CLAIMS.register("transfer")
class Transfer(Claim):
    """The matrix of teachers and learners: one teacher for each of three learners, one for all three; six learners."""

    title: ClassVar[str] = "Which teacher teaches which learner"
    says: ClassVar[str] = (
        "a teacher made for one learner fails on others; one made on a pool also serves learners it never saw"
    )
    size: ClassVar[tuple[float, float]] = (9, 4.4)

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        names = [_narrow(name, scale) for name in TAUGHT]
        learners = {name: {"learner": {"architecture": spec}} for name, spec in zip(TAUGHT, names, strict=True)}
        pool = {"learner": {"architecture": names[0], "pool": names}, "validation": {"architectures": names}}
        made: dict[str, Settings] = {**learners, POOL: pool}
        return [Run(name, {**FOR_ANY_LEARNER, **settings}) for name, settings in made.items()]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Tests every learner on every teacher."""
        learners = {name: _narrow(name, lab.scale) for name in (*TAUGHT, *HELD_OUT)}
        return {
            teacher: {name: lab.accuracies(f"{teacher}-{name}", file.teacher, spec) for name, spec in learners.items()}
            for teacher, one in made.items()
            for file in [one.file()]
        }

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        means = _matrix(evidence)
        own, pool = [means[i, i] for i in range(len(TAUGHT))], means[-1]
        others = [np.delete(means[i], i) for i in range(len(TAUGHT))]
        unseen = [row[len(TAUGHT) :].min() for row in means]
        saw = (
            f"teachers made for one learner: {percent(min(own))} or more on their own, down to"
            f" {percent(min(row.min() for row in others))} on others; the pool's: {percent(pool.min())} on its worst learner,"
            f" {percent(unseen[-1])} on the worst that it never saw (the best of the others there: {percent(max(unseen[:-1]))})"
        )
        fails = all(a - row.min() > MARGIN for a, row in zip(own, others, strict=True))
        return Verdict(bool(fails and pool.min() - means[:-1].min(axis=1).max() > MARGIN), saw)

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        return [
            {"teacher made on": teacher, **{name: percent(result["mean"]) for name, result in row.items()}}
            for teacher, row in evidence.measured.items()
        ]

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """The matrix as a heat map, with a line between the learners of the pool and those held out."""
        axes, means = figure.add_subplot(), 100 * _matrix(evidence)
        image = axes.imshow(means, vmin=min(20.0, means.min()), vmax=100, cmap="viridis", aspect="auto")
        for (row, column), value in np.ndenumerate(means):
            own = column < len(TAUGHT) and row in (column, len(TAUGHT))
            colour, weight = ("black" if value > 70 else "white"), ("bold" if own else "normal")
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontweight=weight)
        axes.axvline(len(TAUGHT) - 0.5, color="white", linewidth=3)
        axes.set_xticks(range(means.shape[1]), [*TAUGHT, *(f"{name}\n(in no teacher)" for name in HELD_OUT)])
        axes.set_yticks(range(means.shape[0]), [*TAUGHT, "pool of these three"])
        axes.set_xlabel("tested on fresh learners of this kind")
        axes.set_ylabel("teacher meta-trained on")
        axes.set_title("mean accuracy on real test images (%); bold: was in meta-training", loc="left", fontsize=10)
        figure.colorbar(image, ax=axes)


def _narrow(name: str, scale: Scale) -> str:
    """Returns the learner's name with its widths divided by the scale's ``narrowing``."""
    widths = architecture(name).form.widths
    return f"{name}:{','.join(str(max(1, width // scale.narrowing)) for width in widths)}"


def _matrix(evidence: Evidence) -> NDArray[np.float64]:
    """Returns the mean accuracies, shape ``(teachers, learners)``."""
    return np.array([[result["mean"] for result in row.values()] for row in evidence.measured.values()])
