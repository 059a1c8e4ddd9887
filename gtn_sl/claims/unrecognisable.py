"""Claim: images that teach well need not look like real ones. A classifier of real images reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor
from torch.nn import functional as F

from gtn_core.planning.plan import StepPlan
from gtn_sl.claims.lab import Lab, Made
from gtn_sl.claims.protocol import CLAIMS, Claim, Evidence, Row, Run, Verdict
from gtn_sl.claims.report import percent
from gtn_sl.claims.scale import Scale
from gtn_sl.config import MetaTrainConfig
from gtn_sl.reports.pictures import one_of_each
from gtn_sl.streams.real_classifier import train_on_real
from gtn_sl.teacher import SupervisedTeacher, seeded_teacher
from gtn_sl.trained_learner import TrainedLearner

REAL, UNTRAINED = "real test images", "untrained"
SCRATCH, WARM = "from scratch", "started from real images"
RIGHT, WRONG = "#0b6e4f", "#c8102e"
MARGIN = 0.1
"""Minimum gap from the share of synthetic images recognised to that of real ones, and to their learners' accuracy."""

ROWS = 4
"""Rows of images shown per source, from the first inner step to the last."""


@CLAIMS.register("unrecognisable")
class Unrecognisable(Claim):
    """A classifier trained on real images alone reads images of two teachers, of an untrained one, and real ones."""

    title: ClassVar[str] = "The number below each image: what a classifier of real images reads in it"
    says: ClassVar[str] = (
        "learners do well on images of a teacher that a classifier of real images does not recognise as their classes"
    )
    size: ClassVar[tuple[float, float]] = (11, 7)

    def runs(self, base: MetaTrainConfig, scale: Scale) -> Sequence[Run]:
        """See ``Claim.runs``."""
        epochs = {SCRATCH: 0, WARM: scale.warm_start}
        return [Run(name.replace(" ", "-"), {"teacher": {"warm_start": count}}) for name, count in epochs.items()]

    def measure(self, lab: Lab, made: Mapping[str, Made]) -> dict[str, Any]:
        """Has one classifier read all images, and tests fresh learners on each teacher."""
        teachers = _teachers(lab, made)
        read = lab.measured("readings", lambda: _readings(lab, teachers))
        taught = {name: lab.accuracies(f"{name} tested", teacher)["mean"] for name, teacher in teachers.items()}
        return {name: {**reading, "taught": taught.get(name)} for name, reading in read.items()}

    def verdict(self, evidence: Evidence) -> Verdict:
        """See ``Claim.verdict``."""
        real, scratch, warm = (evidence.measured[name] for name in (REAL, SCRATCH, WARM))
        saw = (
            f"a classifier of real images is right about {percent(real['recognised'])} of the real test images, and reads"
            f" {percent(scratch['recognised'])} of the images made from scratch as their class, from which fresh learners reach"
            f" {percent(scratch['taught'])} on real ones; of a teacher started from real images it reads"
            f" {percent(warm['recognised'])}, and learners reach {percent(warm['taught'])}"
        )
        return Verdict(scratch["recognised"] < min(real["recognised"], scratch["taught"]) - MARGIN, saw)

    def table(self, evidence: Evidence) -> list[Row]:
        """See ``Claim.table``."""
        return [
            {
                "images": name,
                "read as their class": percent(reading["recognised"]),
                "confidence": f"{reading['confidence']:.2f}",
                "learners trained on them": "" if reading["taught"] is None else percent(reading["taught"]),
            }
            for name, reading in evidence.measured.items()
        ]

    def draw(self, evidence: Evidence, figure: Figure) -> None:
        """Images in columns by class, each with the class that the classifier reads; red if that is another class."""
        teachers, task = _teachers(evidence.lab, evidence.made), evidence.lab.data.task
        shown = {REAL: _real_rows(evidence.lab), **{name: _rows(teacher) for name, teacher in teachers.items()}}
        for axes, (name, images) in zip(figure.subplots(2, 2).flat, shown.items(), strict=True):
            reading = evidence.measured[name]
            taught = "" if reading["taught"] is None else f"\nlearners of these: {percent(reading['taught'])}"
            axes.set_title(
                f"{name}\nread as their class: {percent(reading['recognised'])}{taught}", loc="left", fontsize=10
            )
            _draw_grid(axes, task.denormalise(images.cpu()), reading["shown"], task.classes)


def _draw_grid(axes: Axes, pictures: Tensor, read: Sequence[int], classes: int) -> None:
    """Draws pictures ``(N, C, H, W)`` in columns by class, each with a frame and the class read below it."""
    high, wide = pictures.shape[-2:]
    gap = 0.15 * max(high, wide)
    width, height = wide + gap, high + 4 * gap  # the class that was read goes into the gap below
    for place, (picture, seen) in enumerate(zip(pictures.permute(0, 2, 3, 1).squeeze(-1).numpy(), read, strict=True)):
        row, column = divmod(place, classes)
        left, top = column * width, row * height
        colour = RIGHT if seen == column else WRONG
        extent = (left, left + wide, top + high, top)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
        axes.add_patch(Rectangle((left, top), wide, high, fill=False, edgecolor=colour, linewidth=1.5))
        axes.text(left + wide / 2, top + high + gap / 2, str(seen), color=colour, fontsize=8, ha="center", va="top")
    axes.set_xlim(-gap, classes * width)
    axes.set_ylim(ROWS * height, -gap)
    axes.set_aspect("equal")
    axes.axis("off")


def _teachers(lab: Lab, made: Mapping[str, Made]) -> dict[str, SupervisedTeacher]:
    teachers = {name: made[name.replace(" ", "-")].file().teacher for name in (SCRATCH, WARM)}
    return {**teachers, UNTRAINED: seeded_teacher(lab.base, lab.data.task, lab.streams.seed("untrained-teacher"))}


def _readings(lab: Lab, teachers: Mapping[str, SupervisedTeacher]) -> dict[str, Any]:
    """Trains the classifier and returns its readings, by source of the images."""
    seed, data = lab.streams.seed("reader"), lab.data
    reader = train_on_real(data, data.train.to(lab.device), lab.learner, seed, lab.scale.reader, StepPlan())
    real = _reading(reader, data.normalise(lab.tested_on.images), lab.tested_on.labels, _real_rows(lab))
    return {REAL: real, **{name: _reading(reader, *_all(one), _rows(one)) for name, one in teachers.items()}}


def _reading(reader: TrainedLearner, images: Tensor, labels: Tensor, shown: Tensor) -> dict[str, Any]:
    device = reader.phi.device
    confidence, read = reader.probabilities(images.to(device)).cpu().max(dim=1)
    return {
        "recognised": float((read == labels).float().mean()),
        "confidence": float(confidence.mean()),
        "shown": reader.probabilities(shown.to(device)).argmax(dim=1).tolist(),
    }


@torch.no_grad()
def _all(teacher: SupervisedTeacher) -> tuple[Tensor, Tensor]:
    """Returns all images of a lesson, and the likeliest class of each one's label."""
    batches = [teacher.batch(step) for step in range(teacher.steps)]
    return torch.cat([images for images, _ in batches]), torch.cat([labels.argmax(dim=1) for _, labels in batches])


@torch.no_grad()
def _rows(teacher: SupervisedTeacher) -> Tensor:
    """Returns one image per class from ``ROWS`` evenly spaced steps, shape ``(ROWS * classes, C, H, W)``."""
    steps = np.linspace(0, teacher.steps - 1, ROWS).round().astype(int).tolist()
    batches = [teacher.batch(step) for step in steps]
    return torch.cat([one_of_each(images, labels) for images, labels in batches])


def _real_rows(lab: Lab) -> Tensor:
    test, classes = lab.data.test, lab.data.task.classes
    normal = lab.data.normalise(test.images)
    size = max(1, len(normal) // ROWS)
    parts = zip(normal.split(size), test.labels.split(size), strict=True)
    return torch.cat([one_of_each(images, F.one_hot(labels, classes)) for images, labels in list(parts)[:ROWS]])
