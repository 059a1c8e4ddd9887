"""The figure of a transfer study: real return against training steps, one panel per algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gtn_core.saved_figure import save_figure
from gtn_rl.transfer.agents import CLONING, REAL, TEACHER, UNTRAINED
from gtn_rl.transfer.outcome import Curve, Point, Transfer

COLOURS = {TEACHER: "#0b6e4f", REAL: "#c8553d", CLONING: "#3d5a80", UNTRAINED: "#8a8a8a"}
LINES = {"default": "-", "varied": "--", "tuned": ":"}
MARKERS = {"default": "o", "varied": "s", "tuned": "^"}
SOLVED = "solved"
NUDGE = 1.02  # shift between neighbouring groups, so that equal results do not hide each other


def plot_transfer(path: Path, transfer: Transfer) -> None:
    """Plots the interquartile mean over agents with its 95% interval, by role and settings, and the threshold.

    Args:
        path: PNG file to write.
        transfer: The study's outcome.
    """
    algorithms = list(dict.fromkeys(curve.algorithm for curve in transfer.curves if curve.role != CLONING))
    figure = Figure(figsize=(max(9.0, 1.2 + 4.0 * len(algorithms)), 4.6), layout="constrained")
    panels = figure.subplots(1, len(algorithms), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, algorithms, strict=True):
        curves = [curve for curve in transfer.curves if curve.algorithm == name or curve.role == CLONING]
        _panel(axes, name, curves, transfer)
    panels[0].set_ylabel(f"return on {transfer.task}, deterministic actions")
    drawn = [line for axes in panels for line in axes.get_legend_handles_labels()[0]]
    handles = {line.get_label(): line for line in sorted(drawn, key=lambda line: line.get_label() == SOLVED)}
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    agents, name = transfer.plan.agents, "/".join(Path(transfer.env.name).parts[-2:])  # the end of a long path
    figure.suptitle(
        f"{name} → {transfer.task}: interquartile mean of {agents} agents, 95% bootstrap interval",
        x=0.01, ha="left", fontsize=11,
    )  # fmt: skip
    save_figure(figure, path)


def _panel(axes: Axes, name: str, curves: Sequence[Curve], transfer: Transfer) -> None:
    for place, curve in enumerate(curves):
        settings = "" if curve.role == CLONING else f", {curve.settings} settings"
        shift = NUDGE ** (place - (len(curves) - 1) / 2)
        _curve(axes, curve.points, shift, _label(curve.role) + settings, curve)
    if transfer.threshold is not None:
        axes.axhline(transfer.threshold, color="black", linewidth=1, linestyle=(0, (1, 2)), zorder=1, label=SOLVED)
    axes.set_title(name.upper(), loc="left", fontsize=11)
    axes.set_xscale("log")
    steps = [point.steps for point in curves[0].points]
    axes.set_xticks(steps, [f"{step:,}" for step in steps])
    axes.minorticks_off()
    axes.set_xlabel("environment steps of training")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _curve(axes: Axes, points: Sequence[Point], shift: float, label: str, curve: Curve) -> None:
    steps = [point.steps * shift for point in points]
    figures = [point.deterministic for point in points]
    middle = [figure.iqm for figure in figures]
    below = [0.0 if figure.low is None else max(0.0, figure.iqm - figure.low) for figure in figures]
    above = [0.0 if figure.high is None else max(0.0, figure.high - figure.iqm) for figure in figures]
    axes.errorbar(
        steps,
        middle,
        yerr=[below, above],
        color=COLOURS[curve.role],
        linestyle=LINES[curve.settings],
        marker=MARKERS[curve.settings],
        linewidth=2 if curve.role == TEACHER else 1.3,
        markersize=5 if curve.role == TEACHER else 4,
        elinewidth=1,
        capsize=2,
        label=label,
        zorder=3 if curve.role == TEACHER else 2,
    )


def _label(role: str) -> str:
    return {TEACHER: "synthetic", REAL: "real task", CLONING: "behaviour cloning", UNTRAINED: "untrained teacher"}[role]
