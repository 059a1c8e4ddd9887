"""Plots that compare rankers: correlations with intervals, scores against accuracies, correlation against cost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gtn_core.saved_figure import save_figure
from gtn_sl.nas.comparison import Comparison, Row
from gtn_sl.nas.correlation import Correlation, top_half
from gtn_sl.nas.ranker_names import short_name

ALL, HALF = "#0b6e4f", "#c8553d"


def plot_correlations(path: Path, comparison: Comparison) -> None:
    """Plots each ranker's Spearman correlation, on all and on the top half, with its interval and the ceiling."""
    rows = comparison.rows[::-1]
    figure = Figure(figsize=(8, 1.4 + 0.45 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for shift, colour, label, which in ((0.17, ALL, "all", 0), (-0.17, HALF, "top half", 1)):
        found: list[Correlation] = [(row.everything, row.top_half)[which] for row in rows]
        values = np.array([c.spearman.value for c in found])
        ends = np.array([[c.spearman.low, c.spearman.high] for c in found]).reshape(-1, 2)
        errors = np.abs(ends.T - values)
        axes.barh(np.arange(len(rows)) + shift, values, 0.32, xerr=errors, color=colour, label=label, ecolor="#444444")
    for ceiling, colour in ((comparison.ceiling, ALL), (comparison.ceiling_of_half, HALF)):
        if not math.isnan(ceiling.ceiling):
            axes.axvline(ceiling.ceiling, color=colour, linestyle=":", linewidth=1.5)
    axes.set_yticks(range(len(rows)), [short_name(row.ranker) for row in rows], fontsize=8)
    axes.set_xlabel("Spearman correlation (dotted: ceiling set by noise between seeds)", fontsize=9)
    axes.set_title(_title(comparison), loc="left", fontsize=10)
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def plot_scatter(path: Path, comparison: Comparison) -> None:
    """Plots accuracy against score in one panel per ranker, with the top half highlighted."""
    rows = comparison.rows
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * lines), layout="constrained")
    figure.suptitle(_title(comparison), x=0.01, ha="left", fontsize=10)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes, row in zip(panels, rows, strict=False):
        _scatter(axes, row, comparison)
    for axes in panels[len(rows) :]:
        axes.axis("off")
    save_figure(figure, path)


def plot_cost(path: Path, comparison: Comparison) -> None:
    """Plots correlation against CPU-seconds per architecture: for judging alone (dot), and amortised (ring)."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for row in comparison.rows:
        value = row.everything.spearman.value
        if math.isnan(value):
            continue
        axes.plot(max(row.cpu_seconds, 1e-4), value, "o", color=ALL)
        if not math.isnan(row.amortised):
            axes.plot([max(row.cpu_seconds, 1e-4), max(row.amortised, 1e-4)], [value] * 2, color="#bbbbbb", linewidth=1)
            axes.plot(max(row.amortised, 1e-4), value, "o", markerfacecolor="none", color=ALL)
        axes.annotate(
            short_name(row.ranker), (max(row.cpu_seconds, 1e-4), value), (4, 4), textcoords="offset points", fontsize=7
        )
    axes.set_xscale("log")
    axes.set_xlabel("CPU-seconds per architecture (ring: with its share of one-time costs)")
    axes.set_ylabel("Spearman correlation")
    axes.set_title(_title(comparison), loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def _scatter(axes: Axes, row: Row, comparison: Comparison) -> None:
    accuracies, shown = 100 * comparison.truth.accuracies(), np.isfinite(row.scores)
    better = np.zeros(len(accuracies), dtype=bool)
    better[top_half(accuracies)] = True
    for chosen, colour in ((~better, "#8a8a8a"), (better, HALF)):
        axes.scatter(row.scores[chosen & shown], accuracies[chosen & shown], s=10, color=colour)
    failed = int((~shown).sum())
    note = f", {failed} failed" if failed else ""
    figures = f"{row.everything.spearman.value:.2f}, {row.top_half.spearman.value:.2f}{note}"
    axes.set_title(f"{short_name(row.ranker)}\n{figures}", fontsize=8, loc="left")
    axes.tick_params(labelsize=7)
    axes.set_ylabel("test accuracy (%)", fontsize=7)


def _title(comparison: Comparison) -> str:
    truth = comparison.truth
    return f"{truth.space} on {truth.task}: {len(truth.entries)} architectures, {truth.by_seed().shape[1]} seeds each"
