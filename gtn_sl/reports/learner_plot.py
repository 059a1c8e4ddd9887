"""The plot of a teacher for many learners: one row per architecture, one dot per fresh learner, with the controls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gtn_core.saved_figure import save_figure
from gtn_sl.evaluation import Evaluation
from gtn_sl.reports.plots import COLOURS

_TICKS = "50 90 99 10 80 95 98 99.9 20 70 97 99.5 30 60 85 92 96 5 40 75 88 94 98.5 99.8 93 97.5 99.2"
TICKS = tuple(map(float, _TICKS.split()))
"""Accuracies to label on the axis, in percent, the most important first; only as many as there is room for."""
ROOM = 0.08
"""Share of the axis that a tick needs."""

MARKERS = "osD^vP"

AT_THE_EDGE: dict[str, Any] = {"va": "center", "fontsize": 9, "color": COLOURS[0]}


def plot_learners(path: Path, evaluations: Sequence[Evaluation], title: str) -> None:
    """Draws the final accuracy of every fresh learner, on an axis that stretches the region near 100%.

    Architectures are sorted by their mean on the first stream, best on top; that mean is written at the right.

    Args:
        path: PNG file to write.
        evaluations: Results of several streams and architectures; a missing one leaves a gap.
        title: Title of the figure.
    """
    streams = list(dict.fromkeys(e.name for e in evaluations))
    by_mean = sorted((e for e in evaluations if e.name == streams[0]), key=lambda e: e.mean)
    rows = list(dict.fromkeys(e.architecture for e in [*by_mean, *evaluations]))
    figure = Figure(figsize=(9, 1.7 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for number, stream in reversed(list(enumerate(streams))):  # the first on top of the others
        _draw(axes, [e for e in evaluations if e.name == stream], rows, number)
    _accuracy_axis(axes, evaluations)
    edge = axes.get_yaxis_transform()  # x in shares of the axes' width
    for evaluation in by_mean:
        axes.text(
            1.01, rows.index(evaluation.architecture), f"{100 * evaluation.mean:.1f}", transform=edge, **AT_THE_EDGE
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"test accuracy (%), {evaluations[0].n} fresh learners each; bar: mean")
    figure.suptitle(title, x=0.02, ha="left")
    handles, names = axes.get_legend_handles_labels()
    columns = 2 if max(map(len, streams)) > 20 else 4
    legend = figure.legend(
        handles[::-1], names[::-1], loc="outside lower left", ncols=columns, fontsize=9, frameon=False
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    save_figure(figure, path)


def _draw(axes: Axes, evaluations: Sequence[Evaluation], rows: Sequence[str], number: int) -> None:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    label = evaluations[0].name
    for evaluation in evaluations:
        row, shares = rows.index(evaluation.architecture), _below_one(evaluation.final)
        jitter = np.linspace(-0.16, 0.16, evaluation.n) if evaluation.n > 1 else np.zeros(1)
        axes.scatter(shares, row + jitter, s=12, color=colour, marker=marker, alpha=0.45, linewidths=0, label=label)
        mean = _below_one(np.array([evaluation.mean]))[0]
        axes.vlines(mean, row - 0.3, row + 0.3, color=colour, linewidth=2.5)
        label = "_nolegend_"


def _below_one(shares: np.ndarray) -> np.ndarray:
    """Clips accuracies to those that the axis can show, from 1% to 99.95%."""
    return np.clip(shares, 0.01, 0.9995)


def _odds(share: Any) -> Any:
    """Returns the logarithm of the odds of a share."""
    return np.log(share / (1 - share))


def _accuracy_axis(axes: Axes, evaluations: Sequence[Evaluation]) -> None:
    """Scales the axis by the logarithm of the odds, so that 98% and 99% are as far apart as 50% and 67%."""
    axes.set_xscale("logit")
    everything = _below_one(np.concatenate([e.final for e in evaluations]))
    odds = _odds(everything)
    low, high = odds.min() - 0.25, odds.max() + 0.25
    axes.set_xlim(1 / (1 + np.exp(-low)), 1 / (1 + np.exp(-high)))
    shown: list[float] = []
    for share in np.array(TICKS) / 100:
        gaps = [abs(_odds(share) - _odds(other)) for other in shown]
        if low <= _odds(share) <= high and min(gaps, default=np.inf) >= ROOM * (high - low):
            shown.append(float(share))
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
