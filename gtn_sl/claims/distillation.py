"""Claim: images distilled through the exact adjoint teach a ConvNet-3 more than gradient-matched images do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from gtn_sl.claims.controls import real_data
from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent, tidy
from gtn_sl.claims.scale import Scale
from gtn_sl.config import InnerConfig, MetaTrainConfig
from gtn_sl.data import find_task
from gtn_sl.presets import ADAM
from gtn_sl.reports.plots import COLOURS

LEARNER = "convnet"
"""The literature's ConvNet-3 at its usual width, 128, even where images were distilled on narrower ones."""

CAREFUL: dict[str, dict[str, Any]] = {
    "teacher": {"schedule_lr": 2.0},
    "meta_loss": {"batch_size": 512, "every": 0},
    "outer": {"lr": 0.003},
}
"""For more than one image per class: at three times these rates, MNIST's meta-loss rose again after forty outer steps.

One image per class, whose outer steps are short, gets further at the usual rates in the same time.
"""

PEER = "DSA"
PEERS: Mapping[str, Mapping[int, float]] = {
    "mnist": {1: 0.887, 10: 0.978, 50: 0.992},
    "fashion-mnist": {1: 0.706, 10: 0.846, 50: 0.887},
    "cifar10": {1: 0.288, 10: 0.521, 50: 0.606},
}
"""Test accuracy by images per class (Zhao and Bilen, ICML 2021, Differentiable Siamese Augmentation, table 1)."""


@CLAIMS.register("distillation")
class Distillation(Claim):
    """Distilled data sets of several sizes, compared with as many real images and with the peer's figures."""

    title: ClassVar[str] = "Distilled images, by how many there are"
    says: ClassVar[str] = (
        f"a ConvNet-3 learns more from images distilled through the exact adjoint than {PEER} reports, or, where it reports"
        " nothing, than from as many real images"
    )

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        classes = find_task(base.task).classes
        return [_run(count, count * classes, base.inner, scale) for count in scale.images_per_class]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Tests fresh ConvNets on each set, and on as many random real images."""
        measured = {}
        for count, (name, one) in zip(lab.scale.images_per_class, made.items(), strict=True):
            measured[str(count)] = {
                "distilled": lab.accuracies(name, one.file().teacher, LEARNER),
                "real": lab.measured(f"{name}-real", partial(_real, lab, one, count)),
            }
        return measured

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        peers, means = _peers(evidence), _means(evidence, "distilled")
        goals = peers or _means(evidence, "real")
        against = PEER if peers else "as many real images"
        parts = [f"{count} per class {percent(means[count])} ({percent(goals[count])})" for count in means]
        saw = f"against {against} in brackets: {', '.join(parts)}"
        return Verdict(all(means[count] > goals[count] for count in means), saw)

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        peers = _peers(evidence)
        return [
            {
                "images per class": count,
                "distilled": f"{percent(cell['distilled']['mean'])} ± {100 * cell['distilled']['spread']:.1f}",
                "worst": percent(cell["distilled"]["minimum"]),
                "as many real images": f"{percent(cell['real']['mean'])} ± {100 * cell['real']['spread']:.1f}",
                PEER: percent(peers[int(count)]) if peers else "none known",
            }
            for count, cell in evidence.measured.items()
        ]

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """One group of bars per size, one dot per learner."""
        axes, peers = figure.add_subplot(), _peers(evidence)
        for shift, (kind, label) in enumerate((("distilled", "distilled images"), ("real", "as many real images"))):
            for place, cell in enumerate(evidence.measured.values()):
                x, final = place + 0.36 * shift, 100 * np.array(cell[kind]["final"])
                colour = COLOURS[shift]
                axes.bar(x, final.mean(), 0.32, color=colour, alpha=0.4, label=label if place == 0 else None)
                axes.plot([x] * len(final), final, ".", color=colour)
                axes.annotate(f"{final.mean():.1f}", (x, 3), ha="center", fontweight="bold")
        for place, goal in enumerate(peers.values()):
            label = f"{PEER}, as published" if place == 0 else "_"
            axes.hlines(100 * goal, place - 0.2, place + 0.56, color="black", linestyle="--", label=label)
        axes.set_xticks([place + 0.18 for place in range(len(evidence.measured))], list(evidence.measured))
        axes.set_ylim(0, 112)  # room for the legend
        axes.set_yticks(range(0, 101, 20))
        tidy(axes, "images per class", "accuracy on real test images (%)")
        axes.legend(loc="upper center", ncols=3, fontsize=9)


def _run(count: int, samples: int, inner: InnerConfig, scale: Scale) -> Run:
    """Returns the meta-training of ``count`` images per class: one or two batches, each used ``inner.steps`` times.

    Its inner optimizer is Adam, scaled by fan-in, so that images that teach narrow ConvNets also teach ConvNets of the
    literature's width.
    """
    batches = 1 if count == 1 else 2
    settings: dict[str, dict[str, Any]] = {
        "teacher": {"generator": "pixels", "samples": samples, "labels": "soft", "warm_start": 1},
        "learner": {"architecture": scale.convnet},
        "inner": {**ADAM, "steps": batches * inner.steps, "batch_size": -(-samples // batches)},
    }
    for part, values in CAREFUL.items() if batches > 1 else ():
        settings[part] = {**settings.get(part, {}), **values}
    # With two batches, an outer step costs about four times as much: twice the inner steps, and larger batches.
    return Run(f"{count}-per-class", settings, share=batches, step_cost=batches**2)


def _real(lab: Lab, made: Made, count: int) -> dict[str, Any]:
    """Tests learners on as many real images, a different subset for each, in as many batches of the same size.

    Like the schedule of the distilled images, theirs is learned on the ConvNets that images are distilled on.
    """
    size = count * lab.data.task.classes
    stream = real_data(lab, made.file().config.inner, lab.scale.convnet, subset=size)
    return lab.tested(stream, LEARNER)


def _peers(evidence: Evidence) -> dict[int, float]:
    """Returns the peer's accuracy by images per class; empty if it reports none for the task."""
    known = PEERS.get(evidence.lab.data.task.name, {})
    return {int(count): known[int(count)] for count in evidence.measured} if known else {}


def _means(evidence: Evidence, kind: str) -> dict[int, float]:
    return {int(count): cell[kind]["mean"] for count, cell in evidence.measured.items()}
