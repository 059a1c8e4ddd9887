"""Curves of correlation against training steps, for rankers that differ only in their steps: a plot and TensorBoard."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from torch.utils.tensorboard import SummaryWriter

from gtn_core.saved_figure import save_figure
from gtn_sl.nas.comparison import Comparison, Row
from gtn_sl.nas.ranker_names import short_name
from gtn_sl.nas.results import safe_name
from gtn_sl.reports.plots import COLOURS

_STEPS = re.compile(r"(?<=[@,])steps=\d+,?")


def step_families(comparison: Comparison) -> dict[str, list[Row]]:
    """Groups rankers that take training steps by specification without ``steps``; each group is sorted by steps."""
    families: dict[str, list[Row]] = defaultdict(list)
    for row in comparison.rows:
        if row.steps > 0:
            families[_STEPS.sub("", row.ranker).rstrip("@,")].append(row)
    return {name: sorted(rows, key=lambda row: row.steps) for name, rows in families.items()}


def plot_steps(path: Path, comparison: Comparison) -> bool:
    """Plots Spearman's correlation against training steps, on all and on the top half, with 95% intervals.

    Returns:
        Whether a plot was written; this takes a ranker with at least two numbers of steps.
    """
    curves = step_families(comparison)
    if not any(len(rows) > 1 for rows in curves.values()):
        return False
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, half in ((panels[0], "all architectures", False), (panels[1], "top half", True)):
        for (name, rows), colour in zip(curves.items(), COLOURS * len(curves), strict=False):
            steps = [row.steps for row in rows]
            found = [(row.top_half if half else row.everything).spearman for row in rows]
            axes.plot(steps, [each.value for each in found], "o-", color=colour, markersize=4, label=short_name(name))
            axes.fill_between(
                steps, [each.low for each in found], [each.high for each in found], color=colour, alpha=0.12
            )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("training steps of one architecture")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("Spearman correlation (band: 95%)")
    panels[0].legend(fontsize=8)
    save_figure(figure, path)
    return True


def write_curves(folder: Path, comparison: Comparison) -> None:
    """Writes correlations by training steps to TensorBoard, one run per family of rankers, replacing earlier ones."""
    for name, rows in step_families(comparison).items():
        with SummaryWriter(str(folder / safe_name(name)[-200:]), purge_step=0) as writer:
            for row in rows:
                for tag, found in (("all", row.everything), ("top_half", row.top_half)):
                    if np.isfinite(found.spearman.value):
                        writer.add_scalar(f"spearman/{tag}", found.spearman.value, int(row.steps))
