"""The PNG plots of a run: accuracy against inner step with the controls, the learned schedules, validation over time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gtn_core.checkpoint import replacing
from gtn_core.tracking import Picture
from gtn_sl.evaluation import Evaluation
from gtn_sl.teacher import SupervisedTeacher

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a80", "#8a8a8a", "#7b2d8b", "#b8860b")


def plot_accuracy(path: Path, evaluations: Sequence[Evaluation], title: str) -> None:
    """Draws mean test accuracy against inner step, a band from the worst to the best learner around it.

    Args:
        path: PNG file.
        evaluations: One line each; those without a curve are left out.
        title: What it is about.
    """
    figure, axes = _figure(title, "inner step", "test accuracy (%)")
    drawn = [e for e in evaluations if e.curve_steps]
    for evaluation, colour in zip(drawn, COLOURS * len(drawn), strict=False):
        mean = 100 * evaluation.curves.mean(axis=0)
        label = f"{evaluation.name}: {100 * evaluation.mean:.1f}% ± {100 * evaluation.spread:.1f} (n = {evaluation.n})"
        axes.plot(evaluation.curve_steps, mean, color=colour, label=label, linewidth=2)
        low, high = 100 * evaluation.curves.min(axis=0), 100 * evaluation.curves.max(axis=0)
        axes.fill_between(evaluation.curve_steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_ylim(0, 101)
    axes.legend(loc="lower right", fontsize=9, title="final, mean ± standard deviation over learners")
    _save(figure, path)


def plot_schedule(path: Path, teacher: SupervisedTeacher) -> None:
    """Draws the learned learning rate and momentum of each inner step."""
    with torch.no_grad():
        lr, momentum = (values.cpu().numpy() for values in teacher.schedule())
    figure, axes = _figure(f"{teacher.task.title}: learned inner schedule", "inner step", "learning rate")
    steps = np.arange(len(lr))
    (rate,) = axes.plot(steps, lr, color=COLOURS[0], marker="o", markersize=3, label="learning rate (left)")
    axes.set_ylim(0, 1.1 * lr.max())
    right = axes.twinx()
    (inertia,) = right.plot(steps, momentum, color=COLOURS[1], marker="s", markersize=3, label="momentum (right)")
    right.set_ylim(0, 1)
    right.set_ylabel("momentum")
    axes.legend(handles=[rate, inertia], loc="lower right")
    _save(figure, path)


def plot_validation(path: Path, rows: Sequence[dict[str, float]], title: str) -> None:
    """Draws validation accuracy and meta-loss against outer step.

    Args:
        path: PNG file.
        rows: The run's metrics.
        title: What it is about.
    """
    figure, axes = _figure(title, "outer step", "validation accuracy of fresh learners (%)")
    judged = [row for row in rows if "real/validation_accuracy" in row]
    accuracy = [100 * row["real/validation_accuracy"] for row in judged]
    axes.plot([row["iteration"] for row in judged], accuracy, color=COLOURS[0], marker="o", label="accuracy (left)")
    trained = [row for row in rows if "meta/loss" in row]
    right = axes.twinx()
    iterations, losses = [row["iteration"] for row in trained], [row["meta/loss"] for row in trained]
    right.plot(iterations, losses, color=COLOURS[1], alpha=0.5, linewidth=0.8, label="meta-loss (right)")
    if losses and min(losses) > 0:
        right.set_yscale("log")
    right.set_ylabel("meta-loss")
    handles = [*axes.get_lines(), *right.get_lines()]
    axes.legend(handles=handles, loc="center right")
    _save(figure, path)


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


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    with replacing(path) as file:
        file.write(buffer.getvalue())
