"""The PNG plots of a run: accuracy against inner step with the controls, learned schedules, curves over outer steps."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gtn_core.saved_figure import save_figure
from gtn_core.tracking import Picture
from gtn_core.whole_file import replacing
from gtn_sl.evaluation import Evaluation
from gtn_sl.teacher import SupervisedTeacher

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a80", "#8a8a8a", "#7b2d8b", "#b8860b")
DASHES = ("-", "-", "--")  # the third, a random real subset, may coincide with the second, all real data


def plot_accuracy(path: Path, evaluations: Sequence[Evaluation], title: str) -> None:
    """Draws mean test accuracy against inner step, with a band from the worst to the best learner.

    Args:
        path: PNG file to write.
        evaluations: One line each; all must have a curve.
        title: Title of the figure.
    """
    figure, axes = _figure(title, "inner step", f"accuracy on the first {evaluations[0].curve_images} test images (%)")
    for number, (evaluation, colour) in enumerate(zip(evaluations, COLOURS * len(evaluations), strict=False)):
        mean = 100 * evaluation.curves.mean(axis=0)
        label = f"{evaluation.name}: {100 * evaluation.mean:.1f}% ± {100 * evaluation.spread:.1f} (n = {evaluation.n})"
        axes.plot(evaluation.curve_steps, mean, color=colour, label=label, linewidth=2, linestyle=DASHES[number % 3])
        low, high = 100 * evaluation.curves.min(axis=0), 100 * evaluation.curves.max(axis=0)
        axes.fill_between(evaluation.curve_steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_ylim(0, 101)
    title = "final, all test images: mean ± standard deviation over learners"
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False, title=title)
    save_figure(figure, path)


def plot_schedule(path: Path, teacher: SupervisedTeacher) -> None:
    """Draws the learned learning rate and momentum of each inner step."""
    save_figure(_schedule_figure(teacher), path)


def schedule_picture(teacher: SupervisedTeacher) -> Picture:
    """Returns the figure of ``plot_schedule`` as a picture, for TensorBoard."""
    canvas = FigureCanvasAgg(_schedule_figure(teacher))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _schedule_figure(teacher: SupervisedTeacher) -> Figure:
    with torch.no_grad():
        lr, momentum = (values.cpu().numpy() for values in teacher.schedule())
    figure, axes = _figure(f"{teacher.task.title}: learned inner schedule", "inner step", "learning rate")
    steps = np.arange(1, len(lr) + 1)
    (rate,) = axes.plot(steps, lr, color=COLOURS[0], marker="o", markersize=3, label="learning rate (left)")
    axes.set_ylim(0, 1.1 * lr.max())
    right = axes.twinx()
    (inertia,) = right.plot(steps, momentum, color=COLOURS[1], marker="s", markersize=3, label="momentum (right)")
    right.set_ylim(0, 1)
    right.set_ylabel("momentum")
    figure.legend(handles=[rate, inertia], loc="outside lower center", ncols=2, frameon=False)
    return figure


PANELS = (
    ("meta-loss on real training data", ("meta/loss",), True),
    ("inner loss on synthetic batches", ("inner/first_loss", "inner/last_loss"), False),
    ("accuracy of fresh learners, validation data", ("real/validation_accuracy",), False),
    ("seconds per outer step", ("perf/seconds_per_iteration",), False),
)
"""Title, tags and whether the axis is logarithmic, for each panel of ``plot_curves``."""


def plot_curves(path: Path, rows: Sequence[Mapping[str, float]], title: str) -> None:
    """Draws a run's curves against the outer step: meta-loss, inner loss, validation accuracy and time.

    Args:
        path: PNG file to write.
        rows: The run's rows of metrics.
        title: Title of the figure.
    """
    figure = Figure(figsize=(10, 6), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left")
    for axes, (panel, tags, logarithmic) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for tag, colour in zip(tags, COLOURS, strict=False):
            points = [(row["iteration"], row[tag]) for row in rows if tag in row]
            if points:
                few = "o" if len(points) < 50 else None
                axes.plot(*zip(*points, strict=True), color=colour, label=tag, marker=few, markersize=3, linewidth=1)
        axes.set_title(panel, fontsize=10, loc="left", pad=22)
        axes.grid(alpha=0.3)
        axes.set_xlabel("outer step", fontsize=9)
        if axes.get_legend_handles_labels()[0]:  # a run of no outer steps has no curves
            axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False)
        if logarithmic:
            axes.set_yscale("log")
    save_figure(figure, path)


def save_picture(path: Path, picture: Picture) -> None:
    """Writes a picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    with replacing(path) as file:
        file.write(buffer.getvalue())


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.spines["top"].set_visible(False)
    return figure, axes
