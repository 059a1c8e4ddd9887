"""Tables of measurements, and their comparison with the project's goals. Measures nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from gtn_sl.peers import METHODS, Gradients, Task

AGREEMENT_LIMIT = 1e-10
"""Largest relative difference from plain autograd that float64 rounding can explain."""


@dataclass(frozen=True)
class Result:
    """One method's measurement: medians over its subprocesses, or the reason why there are none.

    Attributes:
        task: What was measured.
        seconds: Wall-clock seconds of one meta-gradient.
        cpu_seconds: CPU seconds of one meta-gradient, over all threads.
        peak_mb: Increase of the peak resident size, in MiB.
        runs: Answer of each subprocess.
        error: Reason why there is no measurement; empty if there is one.
    """

    task: Task
    seconds: float = float("nan")
    cpu_seconds: float = float("nan")
    peak_mb: float = float("nan")
    runs: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    @classmethod
    def of(cls, task: Task, runs: list[dict[str, Any]]) -> Result:
        """Summarises the answers of a method's subprocesses."""
        errors = [run["error"] for run in runs if "error" in run]
        if errors:
            return cls(task, error=errors[0])
        middle = {key: median(run[key] for run in runs) for key in ("seconds", "cpu_seconds", "peak_mb")}
        return cls(task, **middle, runs=runs)

    @property
    def mode(self) -> str:
        """Precision and layout."""
        return f"{self.task.precision} {self.task.layout}"

    @property
    def ours(self) -> bool:
        """Whether the method is this project's."""
        return METHODS[self.task.method].ours

    @property
    def seconds_per_step(self) -> float:
        """Wall-clock seconds of one meta-gradient, divided by T."""
        return self.seconds / self.task.steps

    def row(self) -> dict[str, Any]:
        """Returns the result's entry in the JSON report; missing figures are ``None``."""
        keys = ("seconds", "cpu_seconds", "seconds_per_step", "peak_mb")
        figures = {key: None if self.error else getattr(self, key) for key in keys}
        return {**asdict(self.task), **figures, "runs": self.runs, "error": self.error}


@dataclass(frozen=True)
class Goal:
    """A bound, and the measurements to compare with it.

    Attributes:
        text: What is compared.
        bound: The bound.
        at_least: Whether the bound is a minimum; otherwise it is a maximum.
        figures: Measurements, by learner and T or mode.
        binding: Whether the goal was set for this kind of machine.
    """

    text: str
    bound: float
    at_least: bool
    figures: dict[str, float]
    binding: bool = True

    @property
    def verdict(self) -> str:
        """Whether every measurement is within the bound, as text."""
        if not self.figures:
            return "not measured"
        met = [figure >= self.bound if self.at_least else figure <= self.bound for figure in self.figures.values()]
        said = "met" if all(met) else f"missed in {met.count(False)} of {len(met)}"
        return said if self.binding else f"{said} (set for a CPU with bf16 units)"


def show_agreement(console: Console, found: dict[str, dict[str, float]]) -> None:
    """Prints each method's relative difference from plain autograd."""
    table = Table(title="Relative difference to plain autograd, float64, 4 steps of batch 8", title_justify="left")
    for column in ("method", *Gradients._fields):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, parts in found.items():
        table.add_row(name, *(f"{parts[part]:.1e}" for part in Gradients._fields))
    console.print(table)


def show_group(console: Console, results: Sequence[Result]) -> None:
    """Prints the results of one learner, T and mode, each relative to the best of ours and the best of the peers."""
    task = results[0].task
    title = f"{task.learner} learner ({task.form}), T = {task.steps}, batch {task.batch}, {results[0].mode}"
    table = Table(title=title, title_justify="left")
    for column in (
        "method",
        "seconds",
        "CPU s",
        "/ fastest ours",
        "/ fastest peer",
        "peak MB",
        "/ leanest ours",
        "/ fastest peer's",
    ):
        table.add_column(column, justify="left" if column == "method" else "right")
    ours, peer = fastest(results, ours=True), fastest(results, ours=False)
    leanest = min((r.peak_mb for r in results if r.ours and not r.error), default=None)
    for r in results:
        if r.error:
            table.add_row(r.task.method, r.error)
            continue
        table.add_row(
            r.task.method,
            f"{r.seconds:.3f}",
            f"{r.cpu_seconds:.3f}",
            _ratio(r.seconds, ours.seconds if ours else None),
            _ratio(r.seconds, peer.seconds if peer else None),
            f"{r.peak_mb:.0f}",
            _ratio(r.peak_mb, leanest),
            _ratio(r.peak_mb, peer.peak_mb if peer else None),
        )
    console.print(table)


def show_linearity(console: Console, results: Sequence[Result]) -> None:
    """Prints seconds per step at each T."""
    lengths = sorted({r.task.steps for r in results})
    table = Table(title="Seconds per step at each T", title_justify="left")
    for column in ("learner", "mode", "method", *(f"T = {T}" for T in lengths)):
        table.add_column(column, justify="right" if column.startswith("T") else "left")
    rows: dict[tuple[str, str, str], dict[int, str]] = {}
    for r in results:
        figure = "-" if r.error else f"{r.seconds_per_step:.4f}"
        rows.setdefault((r.task.learner, r.mode, r.task.method), {})[r.task.steps] = figure
    for names, figures in rows.items():
        table.add_row(*names, *(figures.get(T, "-") for T in lengths))
    console.print(table)


def show_goals(console: Console, goals: Iterable[Goal]) -> None:
    """Prints the goals beside the measurements."""
    table = Table(title="Goals", title_justify="left")
    for column in ("goal", "bound", "measured", "verdict"):
        table.add_column(column)
    for goal in goals:
        figures = ", ".join(f"{where}: {figure:.2f}" for where, figure in goal.figures.items())
        table.add_row(goal.text, f"{'>=' if goal.at_least else '<='} {goal.bound:g}", figures, goal.verdict)
    console.print(table)


def fastest(results: Iterable[Result], *, ours: bool) -> Result | None:
    """Returns the fastest of our results, or of the peers', or ``None`` if there is none."""
    return min((r for r in results if r.ours == ours and not r.error), key=lambda r: r.seconds, default=None)


def goals_of(results: Sequence[Result], *, bf16_units: bool) -> list[Goal]:
    """Compares the results with the project's goals.

    Args:
        results: All measurements.
        bf16_units: Whether the CPU multiplies bf16 natively; three of the goals were set for such a CPU.
    """
    found: dict[str, dict[str, float]] = {}

    def note(text: str, where: str, mine: Result | None, theirs: Result | None, part: str = "seconds") -> None:
        if mine and theirs and getattr(mine, part) > 0:
            found.setdefault(text, {})[where] = getattr(theirs, part) / getattr(mine, part)

    texts = {
        "as run": "fastest peer's time as run (fp32 contiguous) / ours, best mode",
        "same": "fastest peer's time / ours, same precision and layout",
        "memory": "fastest peer's memory as run / ours at k = 0, best mode",
        "k=T": "ours at k = T / fastest peer, fp32, same layout",
        "k=0": "ours at k = 0 / fastest peer, fp32, same layout",
        "linear": "ours at k = 0: time per step at the longest T / at the shortest",
    }
    for where, group in _by(results, lambda r: f"{r.task.learner} T={r.task.steps}").items():
        modes = _by(group, lambda r: r.mode)
        best, peer = fastest(group, ours=True), fastest(modes.get("fp32 contiguous", []), ours=False)
        note(texts["as run"], where, best, peer)
        given = modes.get("bf16 channels_last") or modes.get("fp32 channels_last", [])
        note(texts["same"], where, fastest(given, ours=True), fastest(given, ours=False))
        lean = fastest((r for r in group if "k=0" in r.task.method), ours=True)
        note(texts["memory"], where, lean, peer, "peak_mb")
        for mode, members in modes.items():
            for k in ("k=T", "k=0") if mode.startswith("fp32") else ():
                mine = fastest((r for r in members if k in r.task.method), ours=True)
                note(texts[k], f"{where} {mode.removeprefix('fp32 ')}", fastest(members, ours=False), mine)
    lengths = sorted({r.task.steps for r in results})
    for where, group in _by(results, lambda r: f"{r.task.learner} {r.mode}").items():
        by_length = {
            T: fastest((r for r in group if "k=0" in r.task.method and r.task.steps == T), ours=True) for T in lengths
        }
        if len(lengths) > 1:
            note(texts["linear"], where, by_length[lengths[0]], by_length[lengths[-1]], "seconds_per_step")
    bounds = {"as run": 2.5, "same": 1.3, "memory": 8.0, "k=T": 1.0, "k=0": 1.2, "linear": 1.25}
    return [
        Goal(
            texts[key],
            bound,
            at_least=key in ("as run", "same", "memory"),
            figures=found.get(texts[key], {}),
            binding=bf16_units or key in ("k=T", "k=0", "linear"),
        )
        for key, bound in bounds.items()
    ]


def _by(results: Iterable[Result], key: Any) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for r in results:
        groups.setdefault(key(r), []).append(r)
    return groups


def _ratio(figure: float, reference: float | None) -> str:
    return f"{figure / reference:.2f}" if reference else "-"
