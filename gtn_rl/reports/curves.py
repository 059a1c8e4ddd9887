"""Plots a meta-training: fitness, held-out agents, real steps and episode lengths over processor time, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gtn_core.cost import CPU_SECONDS, REAL_STEPS
from gtn_core.saved_figure import save_figure

Rows = Sequence[Mapping[str, Any]]

DARK, WARM, BLUE, GREY = "#0b6e4f", "#c8553d", "#3d5a80", "#8a8a8a"
OTHERS = ("#c8553d", "#3d5a80", "#7b2d8b", "#b8860b", "#5f7a61", "#8a8a8a")
FEW = 40  # below this number of points, each is marked


def plot_curves(path: Path, rows: Rows, title: str, solved: float | None) -> None:
    """Plots a run's curves.

    Args:
        path: PNG file to write.
        rows: The run's rows of metrics.
        title: Title of the figure.
        solved: Return from which the real task counts as solved; None draws no line for it.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left")
    panels = list(figure.subplots(2, 2, sharex=True).flat)
    fitness, agents, steps, lengths = panels
    _fitness(fitness, rows)
    _held_out(agents, rows, solved)
    steps.plot(_minutes(rows), [1e-6 * row.get(REAL_STEPS, 0) for row in rows], color=DARK, linewidth=2)
    _line(lengths, rows, "inner/episode_length", DARK, None)
    for axes, name in zip(
        panels,
        (
            "fitness: real return of a generation's agents",
            "real return of held-out agents, at their usual settings",
            "real steps so far, validation included (millions)",
            "steps of a synthetic episode under these agents",
        ),
        strict=True,
    ):
        axes.set_title(name, fontsize=10, loc="left")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, loc="best", framealpha=0.92)
    for axes in (steps, lengths):
        axes.set_ylim(bottom=0)
        axes.set_xlabel("CPU minutes so far")
    _stages(panels, rows)
    save_figure(figure, path)


def _fitness(axes: Axes, rows: Rows) -> None:
    label = "population, worst to best"
    for _, part in groupby((row for row in rows if "meta/fitness" in row), key=lambda row: row.get("stage")):
        stage = list(part)
        if all("meta/fitness_worst" in row for row in stage):
            low, high = ([row[f"meta/fitness_{end}"] for row in stage] for end in ("worst", "best"))
            axes.fill_between(_minutes(stage), low, high, color=DARK, alpha=0.15, linewidth=0, label=label)
            label = ""  # one entry in the legend is enough
    _line(axes, rows, "meta/fitness_of_mean", WARM, "mean of the search (the teacher)", width=1)
    _line(axes, rows, "meta/fitness", DARK, "population, mean")


def _held_out(axes: Axes, rows: Rows, solved: float | None) -> None:
    tags = sorted({tag for row in rows for tag in row if tag.startswith("real/")} - {"real/score"})
    kinds = [tag for tag in tags if not tag.endswith("_minimum")]
    for kind, colour in zip(kinds, OTHERS * len(kinds), strict=False):
        name = kind.removeprefix("real/")
        _line(axes, rows, kind, colour, "greedy policy of the reward" if name == "greedy" else name, width=1)
    _line(axes, rows, "real/score", DARK, "mean (selects the teacher)")
    if solved is not None:
        axes.axhline(solved, color="black", linewidth=1, linestyle=(0, (1, 2)), label=f"solved: {solved:g}")


def _line(axes: Axes, rows: Rows, tag: str, colour: str, label: str | None, *, width: float = 2) -> None:
    """Plots one value over time, stage by stage, without joining the stages."""
    for _, part in groupby((row for row in rows if tag in row), key=lambda row: row.get("stage")):
        stage = list(part)
        marker = "o" if len(stage) < FEW else None
        values = [row[tag] for row in stage]
        axes.plot(_minutes(stage), values, color=colour, label=label, linewidth=width, marker=marker, markersize=3)
        label = None


def _stages(panels: Sequence[Axes], rows: Rows) -> None:
    """Marks where each stage begins."""
    start = 0.0
    for number, (name, part) in enumerate(groupby(rows, key=lambda row: row.get("stage"))):
        height = 0.02 + 0.25 * (number % 2)  # alternates, since a stage may be too short for its label
        for axes in panels:
            axes.axvline(start, color=GREY, linewidth=1, linestyle="--", zorder=0)
            place = axes.get_xaxis_transform()
            axes.text(start, height, f" {name}", transform=place, rotation=90, color=GREY, fontsize=8, va="bottom")
        start = _minutes(list(part))[-1]


def _minutes(rows: Rows) -> list[float]:
    return [row[CPU_SECONDS] / 60 for row in rows]
