"""Comparison of rankers: how well each orders a ground truth and its top half, and at what cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gtn_core.errors import UsageError
from gtn_sl.nas.correlation import Ceiling, Correlation, Interval, correlate, seed_noise, top_half
from gtn_sl.nas.ground_truth import GroundTruth
from gtn_sl.nas.ranker_names import short_name
from gtn_sl.nas.scoring import Scores


@dataclass(frozen=True)
class Row:
    """One ranker's result.

    Attributes:
        ranker: Its specification.
        everything: Correlations over all architectures.
        top_half: Correlations over the half with the higher accuracy.
        failures: Number of architectures that it failed on, which rank last.
        cpu_seconds: CPU-seconds to judge one architecture with all seeds.
        amortised: ``cpu_seconds`` plus one architecture's share of preparation and earlier costs; NaN if the latter are
            unknown.
        steps: Training steps to judge one architecture with all seeds.
        scores: Shape ``(architectures,)``; minus infinity for failures.
    """

    ranker: str
    everything: Correlation
    top_half: Correlation
    failures: int
    cpu_seconds: float
    amortised: float
    steps: float
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """All rankers on one ground truth.

    Attributes:
        truth: The ground truth.
        rows: One per ranker, in decreasing order of Spearman correlation; undefined ones last.
        ceiling: Ceiling set by noise between seeds, over all architectures.
        ceiling_of_half: The same over the top half.
        seeds: Judgements averaged in each score.
    """

    truth: GroundTruth
    rows: tuple[Row, ...]
    ceiling: Ceiling
    ceiling_of_half: Ceiling
    seeds: int


def compare(truth: GroundTruth, found: Sequence[Scores], seeds: int) -> Comparison:
    """Compares rankers.

    Args:
        truth: The ground truth.
        found: Each ranker's scores, of all architectures of the ground truth.
        seeds: Judgements averaged in each score.

    Raises:
        UsageError: The ground truth has fewer than six architectures, too few to correlate its top half.
    """
    refuse_few(truth)
    rows = sorted((_row(truth, scores, seeds) for scores in found), key=_worst_last)
    half = top_half(truth.accuracies())
    return Comparison(truth, tuple(rows), seed_noise(truth.by_seed()), seed_noise(truth.by_seed()[half]), seeds)


def refuse_few(truth: GroundTruth) -> None:
    """Raises UsageError if a ground truth has fewer than six architectures, too few to correlate its top half."""
    if len(truth.entries) < 6:
        raise UsageError(
            f"a ground truth of {len(truth.entries)} architectures is too small to correlate: at least 6 are needed"
        )


def _row(truth: GroundTruth, scores: Scores, seeds: int) -> Row:
    accuracies = truth.accuracies()
    parameters = np.array([entry.parameters for entry in truth.entries.values()], dtype=float)
    values = np.array([scores.values[encoding] for encoding in truth.entries])
    half = top_half(accuracies)
    paid = math.nan if scores.paid_before is None else scores.paid_before
    return Row(
        ranker=scores.ranker,
        everything=correlate(values, accuracies, parameters),
        top_half=correlate(values[half], accuracies[half], parameters[half]),
        failures=len(scores.failures),
        cpu_seconds=seeds * scores.costs["cpu_seconds"],
        amortised=seeds * scores.costs["cpu_seconds"] + (paid + scores.prepared) / len(values),
        steps=seeds * scores.costs["steps"],
        scores=values,
    )


def _worst_last(row: Row) -> float:
    value = row.everything.spearman.value
    return math.inf if math.isnan(value) else -value


def table(comparison: Comparison) -> list[dict[str, str]]:
    """Returns the rows of the full table, with text cells; the last row is the ceiling."""
    rows = [
        {
            "ranker": row.ranker,
            "Spearman": _with_interval(row.everything.spearman),
            "top half": _with_interval(row.top_half.spearman),
            "Kendall": _with_interval(row.everything.kendall),
            "its top half": _with_interval(row.top_half.kendall),
            "given size": _with_interval(row.everything.partial),
            "CPU s": f"{row.cpu_seconds:.3g}",
            "amortised": "?" if math.isnan(row.amortised) else f"{row.amortised:.3g}",
            "steps": f"{row.steps:.0f}",
            "failed": str(row.failures),
        }
        for row in comparison.rows
    ]
    noise, half, truth = comparison.ceiling, comparison.ceiling_of_half, comparison.truth
    seconds = float(np.mean([entry.cpu_seconds for entry in truth.entries.values()]))
    seeds = truth.by_seed().shape[1]
    named = f"ceiling: {seeds} seeds against the true order (one seed against another)"
    ceiling = dict.fromkeys(rows[0] if rows else ("ranker", "Spearman", "top half", "CPU s"), "")
    ceiling |= {"ranker": named, "CPU s": f"{seeds * seconds:.3g}"}
    ceiling |= {"Spearman": f"{_number(noise.ceiling)} ({_number(noise.between_seeds)})"}
    ceiling |= {"top half": f"{_number(half.ceiling)} ({_number(half.between_seeds)})"}
    return [*rows, ceiling]


def short_table(comparison: Comparison) -> list[dict[str, str]]:
    """Returns the rows of a table that fits a terminal, with text cells; the last row is the ceiling."""
    rows = [
        {
            "ranker": short_name(row.ranker),
            "all": _with_interval(row.everything.spearman, 2),
            "top half": _with_interval(row.top_half.spearman, 2),
            "Kendall": _number(row.everything.kendall.value, 2),
            "CPU s": f"{row.cpu_seconds:.2g}",
            **({"failed": str(row.failures)} if any(other.failures for other in comparison.rows) else {}),
        }
        for row in comparison.rows
    ]
    ceiling = dict.fromkeys(rows[0], "") | {"ranker": "ceiling"}
    ceiling |= {
        "all": _number(comparison.ceiling.ceiling, 2),
        "top half": _number(comparison.ceiling_of_half.ceiling, 2),
    }
    return [*rows, ceiling]


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the comparison as JSON values, without the ground truth's accuracies; non-finite numbers become null."""
    rows = [{**dataclasses.asdict(row), "scores": row.scores.tolist()} for row in comparison.rows]
    ceilings = {key: dataclasses.asdict(getattr(comparison, key)) for key in ("ceiling", "ceiling_of_half")}
    document: dict[str, Any] = _finite({"rows": rows, **ceilings, "architectures": list(comparison.truth.entries)})
    return document


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_interval(interval: Interval, digits: int = 3) -> str:
    if math.isnan(interval.value):
        return "-"
    value, low, high = (_number(x, digits) for x in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _number(value: float, digits: int = 3) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
