"""Plots of accuracy against inner step, shared by several claims."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from gtn_sl.claims.report import percent, tidy
from gtn_sl.reports.plots import COLOURS


def mean_curve(measured: Mapping[str, Any]) -> NDArray[np.float64]:
    """Returns the mean accuracy over learners after each inner step."""
    return np.asarray(measured["curves"], dtype=np.float64).mean(axis=0)


def standard_error(values: NDArray[np.float64]) -> float:
    """Returns the standard error of the mean over learners; infinity for a single learner."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else math.inf


def draw_curves(axes: Axes, measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Draws the mean accuracy of each stream's learners, with a band from the worst to the best."""
    for (name, result), colour in zip(measured.items(), COLOURS, strict=False):
        curves, steps = 100 * np.asarray(result["curves"]), result["curve_steps"]
        axes.plot(steps, curves.mean(axis=0), color=colour, linewidth=2, label=f"{name}: {percent(result['mean'])}")
        axes.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    axes.set_ylim(0, 101)
    tidy(axes, "inner step", "accuracy on real test images (%)")
    axes.legend(loc="lower right", fontsize=9, title="after the last step: mean over learners")
